"""The version that runs, from the installed package."""

from importlib.metadata import version

VERSION = version("sync-analyzer")
