"""Small functions, files and rooms, each saying what it is for."""

from __future__ import annotations

import ast
from collections import Counter

import pytest

from tests.architecture.source import ROOT, modules

MOST_LINES_OF_A_FUNCTION = 45
MOST_LINES_OF_A_FILE = 400
MOST_LINES_OF_A_SCRIPT = 80
MOST_FILES_OF_A_ROOM = 30
MOST_FILES_OF_A_ROOT = {"worker": 6, "web": 12}


def test_no_function_is_long() -> None:
    long = [
        f"{module.name}:{function.name}"
        for module in modules()
        for function in module.functions()
        if (function.end_lineno or 0) - function.lineno + 1 > MOST_LINES_OF_A_FUNCTION
    ]
    assert long == []


def test_no_file_is_long() -> None:
    names = [module.name for module in modules() if module.text.count("\n") > MOST_LINES_OF_A_FILE]
    assert names == []


def test_no_script_of_the_store_is_long() -> None:
    scripts = sorted((ROOT / "tasks/store/lua").rglob("*.lua"))
    assert scripts
    long = [
        script.name
        for script in scripts
        if script.read_text(encoding="utf-8").count("\n") > MOST_LINES_OF_A_SCRIPT
    ]
    assert long == []


def test_no_room_is_crowded() -> None:
    rooms = Counter(module.path.parent for module in modules())
    assert [str(room) for room, files in rooms.items() if files > MOST_FILES_OF_A_ROOM] == []


@pytest.mark.parametrize("root", MOST_FILES_OF_A_ROOT)
def test_the_first_room_that_a_newcomer_opens_is_small(root: str) -> None:
    files = sorted(path.name for path in (ROOT / root).glob("*.py"))
    assert len(files) <= MOST_FILES_OF_A_ROOT[root], files


def test_every_module_says_what_it_is() -> None:
    assert [module.name for module in modules() if not ast.get_docstring(module.tree)] == []


def test_every_public_class_and_function_of_tasks_says_what_it_promises() -> None:
    silent = [
        f"{module.name}:{node.name}"
        for module in modules("tasks", "config")
        for node in module.tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and not node.name.startswith(("_", "parse_"))
        and not ast.get_docstring(node)
        and not _names_itself(node)
    ]
    assert silent == []


def _names_itself(node: ast.stmt) -> bool:
    """An error whose code says all there is to say, or a word list."""
    if isinstance(node, ast.FunctionDef):
        return node.name == "one_of"
    return isinstance(node, ast.ClassDef) and any(
        isinstance(base, ast.Name) and base.id in {"JobError", "RequestError"}
        for base in node.bases
    )


def test_no_import_hides_in_a_function() -> None:
    hidden = [
        f"{module.name}:{function.name}"
        for module in modules()
        for function in module.functions()
        if module.imported(function)
    ]
    assert hidden == []


# An ASGI server wants a module with the application in it.
ENTRIES = {"web/asgi.py"}


def _does_work(statement: ast.stmt) -> bool:
    if not isinstance(statement, ast.Expr) or not isinstance(statement.value, ast.Call):
        return False
    return not ast.unparse(statement.value.func).startswith("blueprint.")  # it only notes a route


def test_importing_a_module_does_nothing() -> None:
    busy = [
        module.name
        for module in modules()
        if module.name not in ENTRIES and any(_does_work(part) for part in module.tree.body)
    ]
    assert busy == []


def test_there_are_no_globals() -> None:
    names = [
        module.name
        for module in modules()
        if any(isinstance(node, ast.Global) for node in ast.walk(module.tree))
    ]
    assert names == []
