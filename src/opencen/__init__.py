"""OpenCEN, a self-hosted Cloud Enterprise Network."""

from importlib.metadata import version

__version__ = version("opencen")
