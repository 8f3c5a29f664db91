"""Where media comes from in tests: a web server, what it answers, and the files it serves."""

from tests.support.origin.server import Exchange, Origin

__all__ = ["Exchange", "Origin"]
