"""The scripts that run inside the store, each joined from short parts in `lua/`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files

_PRELUDE = "prelude"
# In the order in which they are joined: a part may use functions of the parts before it.
_WRITE = (
    "turns",
    "webhooks",
    "write/record",
    "write/guard",
    "write/flight",
    "write/stage",
    "write/index",
    "write/dependents",
    "write/artifacts",
    "write/batch",
    "write/webhooks",
    "write/numbers",
    "write/submission",
    "write",
)

SCRIPTS: Mapping[str, tuple[str, ...]] = {
    "create": _WRITE,
    "change": _WRITE,
    **{
        f"webhook_{name}": ("webhooks", f"webhooks/{name}")
        for name in (
            "take",
            "settle",
            "recover",
            "redeliver",
            "forget",
            "register",
            "unregister",
            "enable",
        )
    },
    "rate": ("rate",),
    "adopt": ("turns", "pointers", "adopt"),
    "take": ("turns", "take"),
    "set_aside": ("set_aside",),
    "lease_aside": ("lease_aside",),
    "renew": ("renew",),
    "request_cancel": ("request_cancel",),
    "delete": ("pointers", "delete"),
    "expire": ("pointers", "expire"),
    "dependents_released": ("dependents_released",),
    "site": ("site",),
    "peak": ("peak",),
    "lock": ("lock",),
    "count": ("count",),
    "use": ("use",),
    "report": ("report",),
    "kept_house": ("kept_house",),
    "try_to_write": ("try_to_write",),
}
# When the store's memory is full, only what adds jobs is refused: recorded jobs must be able to
# end, which frees memory.
_REFUSED_WHEN_FULL = {"create", "try_to_write", "webhook_register"}
_ALLOWED_WHEN_FULL = "#!lua flags=allow-oom\n"  # the server reads flags in the first line only


@cache
def source_of(script: str) -> str:
    """The whole text of a script."""
    text = "\n".join(_part(name) for name in (_PRELUDE, *SCRIPTS[script]))
    return text if script in _REFUSED_WHEN_FULL else _ALLOWED_WHEN_FULL + text


def _part(name: str) -> str:
    return (files("tasks.store") / "lua" / f"{name}.lua").read_text(encoding="utf-8")
