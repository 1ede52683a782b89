"""What the registry accepts: words, dates, addresses, the state table, and the codes it answers with. Pure."""
