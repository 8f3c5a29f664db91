"""How tests ask servers on this machine: past any proxy, and without loading certificates.

Loading them takes longer than a request does, and each new client would do it again.
"""

from __future__ import annotations

from typing import Final, TypedDict


class _Options(TypedDict):
    trust_env: bool
    verify: bool


LOOPBACK: Final[_Options] = {"trust_env": False, "verify": False}  # of clients of httpx2
