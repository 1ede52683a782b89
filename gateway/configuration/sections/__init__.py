"""The sections of the configuration file, one module for each group that is set together."""
