"""`python -m tests.support.cases [NAME…]`: cut each case at all places in all modes, and judge."""

from __future__ import annotations

import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

from tests.support.cases.cutting import judged
from tests.support.cases.table import CASES

FOLDER = Path(gettempdir()) / "clipmill-cases"


def report(name: str, mode: str) -> list[str]:
    """The lines of one case and mode."""
    with TemporaryDirectory() as folder:
        found = judged(CASES[name], mode, FOLDER, Path(folder))
        wrong = [f"{name} {mode} {asked.name}: {what}" for asked, what in found if what != "right"]
    return wrong or [f"{name} {mode}: right"]


def main(names: list[str]) -> None:
    """Judge these cases, or all."""
    FOLDER.mkdir(exist_ok=True)
    for name in names or list(CASES):
        CASES[name].file(FOLDER)
    with ProcessPoolExecutor(2) as pool:
        asked = [(name, mode) for name in names or CASES for mode in CASES[name].modes]
        for lines in pool.map(report, *zip(*asked, strict=True)):
            print(*lines, sep="\n", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
