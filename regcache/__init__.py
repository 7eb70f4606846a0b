"""A caching proxy between container clients and the public registries."""

__version__ = "0.1.0"
