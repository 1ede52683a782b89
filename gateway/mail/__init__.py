"""The path of a mail: ``pipeline`` from top to bottom, and what it carries, writes and tells."""
