"""The parts of the benchmark by name; a new part is one row here."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks import box, clips, memory, queue
from benchmarks.part import Part

PARTS: Mapping[str, Part] = {
    "queue": queue.run,  # what a job and a request cost when nothing else happens
    "clips": clips.run,  # twelve clips of a long video, beside other ways of cutting them
    "memory": memory.run,  # the estimates of the model beside the peaks of real clips
    "box": box.run,  # encodes in half a gigabyte beside the same encodes in 4 GiB
}
