"""Which Clipmill this is."""

from importlib.metadata import version

VERSION = version("clipmill")
