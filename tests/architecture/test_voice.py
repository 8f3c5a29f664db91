"""Error messages have one voice: lower case, no full stop, so that they fit into any sentence."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache

import pytest
from marshmallow import ValidationError as LibrarysError

from tests.architecture.source import Module, modules
from web.schemas.faults import invalid

BASES = {"Exception", "ValidationError", "ClickException"}
# A name keeps its own letters: an acronym, a setting, a header, a product.
NAME = re.compile(r"[A-Z][\w-]*[A-Z0-9_]|Redis\b|Idempotency-Key|Content-Type|Celery\b|Python\b")


@cache
def errors() -> frozenset[str]:
    """The names of all error classes, ours and those of libraries that carry our words."""
    found = set(BASES)
    classes = [
        (node.name, {ast.unparse(base).split(".")[-1] for base in node.bases})
        for module in modules()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ClassDef)
    ]
    while more := {name for name, bases in classes if bases & found} - found:
        found |= more
    return frozenset(found)


def name_of(node: ast.expr) -> str:
    return ast.unparse(node).split(".")[-1]


def text_of(node: ast.AST) -> str | None:
    """A literal as it would read, `{}` where a value stands; None for what is no text."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(part) or "{}" for part in node.values)
    return None


def messages(module: Module) -> Iterator[tuple[int, str]]:
    """What is said where an error is made, and in tables of an error class and its message."""
    for node in ast.walk(module.tree):
        texts: list[ast.AST] = []
        if isinstance(node, ast.Call) and name_of(node.func) in errors():
            texts = [*node.args[:1], *(it.value for it in node.keywords if it.arg == "message")]
        elif isinstance(node, ast.Tuple) and any(
            isinstance(it, ast.Name) and it.id in errors() for it in node.elts
        ):
            # The pattern that recognises a tool's words stands before our own.
            texts = [it for it in node.elts[-1:] if " " in (text_of(it) or "")]
        for text in texts:
            if said := text_of(text):
                yield node.lineno, said


def test_error_messages_begin_in_lower_case_and_end_without_a_full_stop() -> None:
    off = [
        f"{module.name}:{line} {said!r}"
        for module in modules()
        for line, said in messages(module)
        if (said[:1].isupper() and not NAME.match(said)) or said.rstrip().endswith(".")
    ]
    assert off == []


def test_so_many_messages_are_looked_at_that_the_search_cannot_have_missed_them_all() -> None:
    assert sum(1 for module in modules() for _ in messages(module)) > 100


@pytest.mark.parametrize("said", ["Not a valid string.", "Missing data for required field."])
def test_the_words_of_the_library_that_checks_bodies_are_brought_into_it(said: str) -> None:
    (fault,) = invalid(LibrarysError({"start": [said]})).faults
    assert fault.detail == said[0].lower() + said[1:-1]
