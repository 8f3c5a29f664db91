"""Whether the server that keeps the records may forget some: said at the start, or refused."""

from __future__ import annotations

import logging

from tasks.errors import ClipmillError, StoreUnavailable
from tasks.store.server import Server

log = logging.getLogger(__name__)


class UnsafeStore(ClipmillError):
    """The server is set up so that accepted jobs can be lost, and the settings refuse that."""


def check_durability(server: Server, policy: str) -> None:
    """Warn of a server that may lose jobs; raises UnsafeStore when `policy` is `refuse`.

    A server that does not answer yet cannot be judged, and is waited for as always.
    """
    try:
        faults = server.durability_faults()
    except StoreUnavailable:
        log.warning("the store does not answer yet, so its policy could not be checked")
        return
    if faults and policy == "refuse":
        raise UnsafeStore("the Redis server is not safe for jobs: " + "; ".join(faults))
    for fault in faults:
        log.warning("the Redis server may lose jobs: %s", fault)
