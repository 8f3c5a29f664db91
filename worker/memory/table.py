"""The measured table: the memory of each term of the model, this machine's own or the shipped."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from hashlib import sha256
from math import isfinite
from pathlib import Path
from typing import Any

from config.values import MIB
from worker.memory.model import Terms

SHIPPED = Path(__file__).with_name("table.json")
FILE_NAME = "memory-table.json"  # in the data folder, written by `clipmill calibrate`
HIGHEST_MIB = 10_000.0
OF_CODECS = ("copy", "decode")  # the words before a codec in the names of terms


class BadTable(Exception):
    """The table's file cannot be used; the message says why."""


@dataclass(frozen=True)
class Table:
    """MiB for one unit of each term. `margin` raises every estimate: the fit lies in the middle of
    the measured peaks, and too little memory is the worse error. `measured`: when and on what."""

    mib: Mapping[str, float]
    margin: float
    measured: Mapping[str, Any]

    def bytes_of(self, terms: Terms) -> int:
        """The expected peak of a step."""
        mib = sum(amount * self._unit_mib(name) for name, amount in terms.items())
        return round(mib * self.margin * MIB)

    def _unit_mib(self, name: str) -> float:
        """The MiB of a term. A codec that was not measured is taken for the largest one."""
        kind, _, codec = name.partition(" ")
        if name not in self.mib and kind in OF_CODECS and codec:
            return max(mib for known, mib in self.mib.items() if known.startswith(f"{kind} "))
        return self.mib[name]

    @cached_property
    def digest(self) -> str:
        """A name for the values: a factor that was learned with one table is wrong with another."""
        said = json.dumps([dict(self.mib), self.margin], sort_keys=True)
        return sha256(said.encode()).hexdigest()[:8]

    def write(self, path: Path) -> None:
        """Replace the file, so that a worker that starts now reads the old or the new."""
        fresh = path.with_name(f".{path.name}.new")
        fresh.write_text(json.dumps(asdict(self), indent=1, sort_keys=True) + "\n")
        fresh.replace(path)


@cache
def shipped_table() -> Table:
    """The table that comes with Clipmill."""
    return read_table(SHIPPED)


def table_for(data_dir: Path) -> Table:
    """This machine's own table if it has one, else the shipped. Raises BadTable."""
    own = data_dir / FILE_NAME
    if not own.exists():
        return shipped_table()
    table = read_table(own)
    missing = sorted(shipped_table().mib.keys() - table.mib.keys())
    if missing:
        raise BadTable(f"{own} lacks {', '.join(missing)}; `clipmill calibrate` writes it anew")
    return table


def read_table(path: Path) -> Table:
    """A table from its file. Raises BadTable."""
    try:
        values = json.loads(path.read_text())
        table = Table(
            {str(name): float(mib) for name, mib in values["mib"].items()},
            float(values["margin"]),
            dict(values["measured"]),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        remedy = "`clipmill calibrate` writes it anew"
        raise BadTable(f"{path} cannot be read ({error!r}); {remedy}") from error
    odd = [name for name, mib in table.mib.items() if not 0 <= mib <= HIGHEST_MIB]
    if odd or not isfinite(table.margin) or not 1 <= table.margin <= 2:
        raise BadTable(f"{path} has values that cannot be: {', '.join(odd) or 'margin'}")
    return table
