"""The configuration: one TOML file in, one frozen ``Configuration`` out, or everything that is wrong with it.

* ``values``     durations, sizes, endpoints, secrets: each parsed once
* ``kinds``      what a single value may be, with the words for messages and manual
* ``sections``   the settings, their defaults and what they are for
* ``validate``   every setting by itself
* ``rules``      settings against each other
* ``settle``     secrets read, paths resolved, units unified
* ``load``       the way through all of these
* ``checks``     what only the machine can tell: certificates, keys, folders
* ``manual``     the example file and the reference page, made from the sections
"""

from gateway.configuration.load import load_configuration
from gateway.configuration.problems import ConfigurationError, Problem
from gateway.configuration.settings import Configuration

__all__ = ["Configuration", "ConfigurationError", "Problem", "load_configuration"]
