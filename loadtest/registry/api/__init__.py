"""The calls of the registry, one function each, and the table of their paths (``routes``)."""
