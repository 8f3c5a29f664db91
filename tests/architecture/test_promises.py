"""What docs/promises.md says is tested is tested."""

from __future__ import annotations

import ast
import re

from tests.architecture.source import ROOT

NAMED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
PAGE = (ROOT / "docs" / "promises.md").read_text()
# Promises have numbers, faults a letter before theirs. What is not promised yet (object storage)
# has no row.
EXPECTED = {str(number) for number in range(1, 17)} | {
    f"{letter}{number:02}"
    for letter, numbers in {
        "P": range(1, 11),
        "R": range(1, 11),
        "D": (1, 2, 3, 4, 5, 7),
        "C": range(1, 8),
        "A": (9, 10, 14),
        "W": range(1, 7),
    }.items()
    for number in numbers
}


def test_every_test_that_the_page_of_promises_names_exists() -> None:
    named = set(NAMED.findall(PAGE))
    assert len(named) > 40
    missing = [f"{path}::{name}" for path, name in sorted(named) if name not in functions_of(path)]
    assert missing == []


def functions_of(path: str) -> set[str]:
    file = ROOT / path
    if not file.is_file():
        return set()
    tree = ast.parse(file.read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_line_of_the_page_names_a_test() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and "---" not in line]
    unproven = [row for row in rows if not NAMED.search(row) and not row.endswith("| test |")]
    assert unproven == []
    numbered = {row.split("|")[1].strip() for row in rows}
    assert EXPECTED - numbered == set()
