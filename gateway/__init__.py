"""What drives: listeners, pipeline, workers, pages, admin, command line; ``app`` is the one place that wires."""
