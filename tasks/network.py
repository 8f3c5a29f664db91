"""What a job did on the network, as its result tells it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True)
class HostUse:
    """What went to one host and port, and what came from there."""

    host: str
    requests: int
    bytes_received: int
    bytes_sent: int


@dataclass(frozen=True)
class NetworkUse:
    """All hosts that a job reached, and how many connections were refused to it."""

    hosts: tuple[HostUse, ...] = ()
    refused: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {"hosts": [{**vars(host)} for host in self.hosts], "refused": self.refused}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """What `to_dict` wrote."""
        return cls(tuple(HostUse(**host) for host in values["hosts"]), values["refused"])


UNUSED = NetworkUse()
