"""What is kept of each message as proof: records, their chain, its examination, its export."""
