"""The version of Clipmill."""

from importlib.metadata import version

VERSION = version("clipmill")
