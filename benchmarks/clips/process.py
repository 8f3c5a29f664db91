"""The smart cut's own program, started by command as the worker starts it, but unsupervised."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from benchmarks.clips.sizes import Range
from benchmarks.clips.ways import by_command


def program_argv(source: Path, wanted: Range, target: Path) -> list[str]:
    """The program's command for one clip."""
    spec = {
        "source": str(source),
        "target": str(target),
        "start": wanted.start,
        "end": wanted.end,
    }
    return [sys.executable, "-P", "-m", "worker.pyav.cut", json.dumps(spec)]


cut_by_program = by_command(program_argv)
