"""Cutting a clip: `way` decides how, `making` does it with the tools of an attempt."""

from worker.clip.strategy import Tool, Way, container_of, way_of
from worker.cutting.cut import make_clip, make_thumbnail

__all__ = ["Tool", "Way", "container_of", "make_clip", "make_thumbnail", "way_of"]
