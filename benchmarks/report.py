"""Tables for the terminal, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from benchmarks.part import Outcome, Setup, Sheet


def headline(name: str, facts: Mapping[str, Any], quick: bool) -> str:
    """The part that is measured, and the machine."""
    load = facts["load_average"][0]
    sizes = ", quick sizes: no measurement" if quick else ""
    return (
        f"== {name}{sizes}: {facts['cores']} cores ({facts['processor']}), "
        f"{facts['memory_bytes'] / 2**30:.0f} GiB, load {load:.1f} at the start =="
    )


def as_table(sheet: Sheet) -> RenderableType:
    """A sheet with its notes below."""
    table = Table(title=sheet.title, title_justify="left", title_style="bold")
    for number, column in enumerate(sheet.columns):
        table.add_column(column, justify="right" if number else "left")
    for row in sheet.rows:
        table.add_row(*map(Text, row))
    return Group(table, *(Text(f"  {note}", style="dim") for note in sheet.notes))


def write_json(name: str, setup: Setup, facts: Mapping[str, Any], outcome: Outcome) -> Path:
    """Write the part's file and return its path."""
    path = setup.folder / f"{name}.json"
    document = {
        "part": name,
        "quick": setup.quick,
        "machine": facts,
        "values": outcome.values,
        "tables": [vars(sheet) for sheet in outcome.sheets],
    }
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    return path
