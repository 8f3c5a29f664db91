"""The arguments of a guard: `name=value` words, then `--`, then the tool's command.

`run._options` writes these words. Modules are chosen for the time their import takes (see guard).
"""

from __future__ import annotations

TYPE_CHECKING = False  # `typing` costs as much as all the rest
if TYPE_CHECKING:
    from collections.abc import Sequence


class GuardOptions:
    """The limits that the worker set; 0 means no limit."""

    def __init__(self, arguments: Sequence[str]) -> None:
        split = arguments.index("--")
        given = dict(option.split("=", 1) for option in arguments[:split])
        self.argv = list(arguments[split + 1 :])
        self.parent = int(given["parent"])
        self.report = int(given["report"])
        self.deadline_seconds = float(given["deadline_seconds"])
        self.grace_seconds = float(given["grace_seconds"])
        self.memory_bytes = int(given.get("memory_bytes", 0))
        self.data_bytes = int(given.get("data_bytes", 0))
        self.file_bytes = int(given.get("file_bytes", 0))
        self.folder_bytes = int(given.get("folder_bytes", 0))
        self.cpu_seconds = int(given.get("cpu_seconds", 0))
        self.group = given.get("group", "")
        self.profile = given.get("profile", "media")
