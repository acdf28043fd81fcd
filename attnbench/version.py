"""The version of attnbench."""

__version__ = "0.1.0"
