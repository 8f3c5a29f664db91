"""Cutting a clip: a plan is carried out with the tools of an attempt, and the file is checked."""

from worker.cutting.cut import Cut, CutTools, make_clip, make_thumbnail

__all__ = ["Cut", "CutTools", "make_clip", "make_thumbnail"]
