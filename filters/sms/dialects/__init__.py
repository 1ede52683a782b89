"""One module for each provider's interface: request ↔ ``Submission``, outcomes ↔ response."""
