"""Carrying out a clip's plan with the tools of an attempt, and checking the file."""

from worker.cutting.cut import Cut, CutTools, make_clip, make_thumbnail

__all__ = ["Cut", "CutTools", "make_clip", "make_thumbnail"]
