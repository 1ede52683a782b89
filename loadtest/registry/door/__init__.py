"""What stands before every call: faults by switch, rate limits, tokens, and the log of all calls."""
