"""No circle among files or folders, and nothing that grows until everyone must know it."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter

from tests.architecture.source import Module, modules

MOST_LINES_OF_A_CLASS = 200
MOST_PUBLIC_METHODS = 15

Graph = Mapping[str, set[str]]


def module_name(module: Module) -> str:
    return module.name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def reached(module: Module, known: set[str]) -> Iterable[str]:
    """The modules of ours that it imports, also those it names to `import_module`."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from (item.name for item in node.names)
        elif isinstance(node, ast.ImportFrom):
            for item in node.names:
                below = f"{node.module}.{item.name}"
                yield below if below in known else node.module or ""
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            yield from loaded(node.args[0], module, known)


def loaded(name: ast.expr, module: Module, known: set[str]) -> Iterable[str]:
    """The modules that a call of `import_module` may load; of a template, all that fit it."""
    if isinstance(name, ast.Constant):
        return [str(name.value)]
    text = ast.unparse(name).replace("{__name__}", module_name(module))
    shape = re.escape(text[2:-1])
    pattern = re.sub(r"\\\{.*?\\\}", r"\\w+", shape)
    return [it for it in known if re.fullmatch(pattern, it)]


def files() -> dict[str, set[str]]:
    names = {module_name(module): module for module in modules()}
    return {
        name: {it for it in reached(module, {*names}) if it in names and it != name}
        for name, module in names.items()
    }


def folders(graph: Graph) -> dict[str, set[str]]:
    """The same of folders, where the files that lie directly in one are the folder."""
    place = {module_name(module): module.path.parent.as_posix() for module in modules()}
    found: dict[str, set[str]] = defaultdict(set)
    for name, imported in graph.items():
        found[place[name]] |= {place[it] for it in imported} - {place[name]}
    return found


def circle(graph: Graph) -> list[str]:
    """One circle of the graph, if it has any."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_file_reaches_itself_by_imports() -> None:
    assert circle(files()) == []


def test_no_folder_reaches_itself_by_imports() -> None:
    assert circle(folders(files())) == []


def test_a_circle_would_be_seen() -> None:
    assert set(circle({"a": {"b"}, "b": {"c"}, "c": {"a"}})) == {"a", "b", "c"}


def test_a_module_that_is_loaded_by_its_name_counts_as_imported() -> None:
    graph = files()
    assert "tasks.tracing.opentelemetry" in graph["tasks.tracing.start"]
    assert {"worker.kinds.clip", "worker.kinds.download"} <= graph["worker.kinds"]
    assert "clipmill.commands.submit" in graph["clipmill.cli"]


def classes() -> list[tuple[str, ast.ClassDef]]:
    return [
        (f"{module.name}:{node.name}", node)
        for module in modules()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ClassDef)
    ]


def test_no_class_is_long() -> None:
    long = [
        name
        for name, node in classes()
        if (node.end_lineno or 0) - node.lineno + 1 > MOST_LINES_OF_A_CLASS
    ]
    assert long == []


def test_no_class_offers_more_than_one_can_keep_in_mind() -> None:
    wide = [name for name, node in classes() if len(public(node)) > MOST_PUBLIC_METHODS]
    assert wide == []


def public(node: ast.ClassDef) -> list[str]:
    return [
        item.name
        for item in node.body
        if isinstance(item, ast.FunctionDef) and not item.name.startswith("_")
    ]
