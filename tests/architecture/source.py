"""The project's own source, as a tree that tests can ask."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = ("config", "tasks", "worker", "web", "clipmill")
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """One file."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    def functions(self) -> Iterator[Function]:
        return (node for node in ast.walk(self.tree) if isinstance(node, Function))

    @cached_property
    def imports(self) -> set[str]:
        """The full names of all modules that are imported anywhere."""
        return self.imported(self.tree)

    def imported(self, tree: ast.AST) -> set[str]:
        """The full names of all modules that are imported in a part of it."""
        found = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                found |= {item.name for item in node.names}
            elif isinstance(node, ast.ImportFrom):
                found |= {node.module or ""} | {f"{node.module}.{item.name}" for item in node.names}
        return found

    @cached_property
    def attributes(self) -> set[str]:
        """Every `name.attribute` that is used, as text."""
        return {
            f"{node.value.id}.{node.attr}"
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
        }


@cache
def modules(*folders: str) -> tuple[Module, ...]:
    """All modules of some folders, the rooms unless others are named."""
    return tuple(
        Module(path)
        for folder in folders or ROOMS
        for path in sorted((ROOT / folder).rglob("*.py"))
    )
