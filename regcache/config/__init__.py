"""The configuration file: read, checked as a whole, and given as plain values."""

from regcache.config.loading import Loaded, load, loads
from regcache.config.problems import ConfigError

__all__ = ["ConfigError", "Loaded", "load", "loads"]
