"""Checks at the start whether the Redis server may lose records: warns, or refuses to start."""

from __future__ import annotations

import logging

from tasks.errors import ClipmillError, StoreUnavailable
from tasks.store.server import Server

log = logging.getLogger(__name__)


class UnsafeStore(ClipmillError):
    """The server's configuration can lose accepted jobs, and the settings refuse that."""


def check_durability(server: Server, policy: str) -> None:
    """Warn of a server that may lose jobs; raises UnsafeStore when `policy` is `refuse`.

    A server that does not answer yet cannot be checked, which is only a warning.
    """
    try:
        faults = server.durability_faults()
    except StoreUnavailable:
        log.warning("the store does not answer yet, so its policy could not be checked")
        return
    if faults and policy == "refuse":
        raise UnsafeStore(
            "the Redis server may lose jobs (CLIPMILL_REDIS_POLICY is refuse): " + "; ".join(faults)
        )
    for fault in faults:
        log.warning("the Redis server may lose jobs: %s", fault)
