"""What an SMS request goes through, in the order in which ``gateway.sms.pipeline`` calls it."""
