"""The input and the outcome of a part of the benchmark."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Setup:
    """How to run: `folder` keeps what takes long to make; `say` shows progress to the user."""

    quick: bool
    folder: Path
    left_out: frozenset[str]
    say: Callable[[str], None]


@dataclass(frozen=True)
class Sheet:
    """One table for people: the first column is text, the others are formatted numbers."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Outcome:
    """The figures of a part: `values` for programs (JSON), `sheets` for people."""

    values: Mapping[str, Any]
    sheets: Sequence[Sheet]


Part = Callable[[Setup], Outcome]
