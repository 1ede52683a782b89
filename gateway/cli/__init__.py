"""The command line: one module a command; what they open comes from ``gateway.app``."""

from gateway.cli.main import main

__all__ = ["main"]
