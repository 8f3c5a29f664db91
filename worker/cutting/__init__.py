"""Cutting a clip: `way` decides how, `making` does it with the tools of an attempt."""

from worker.cutting.making import make_clip, make_thumbnail
from worker.cutting.way import Tool, Way, container_of, way_of

__all__ = ["Tool", "Way", "container_of", "make_clip", "make_thumbnail", "way_of"]
