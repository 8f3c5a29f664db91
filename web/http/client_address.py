"""Which address a request comes from, where trusted proxies stand before the API."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any

from config.values import Network


def client_address(environ: Mapping[str, Any], trusted_proxies: Sequence[Network]) -> str:
    """The peer's address; behind trusted proxies, the last that none of them has.

    Each proxy adds its own peer at the end of X-Forwarded-For. What stands before the last
    untrusted address was written by the client and is not believed.
    """
    address = str(environ.get("REMOTE_ADDR", ""))
    named = str(environ.get("HTTP_X_FORWARDED_FOR", "")).split(",")
    while named and is_in(address, trusted_proxies):
        before = named.pop().strip()
        if not _is_address(before):
            break
        address = before
    return address


def is_in(address: str, networks: Sequence[Network]) -> bool:
    """Whether an address lies in one of these networks; a text that is no address does not."""
    if not _is_address(address):
        return False
    found = ipaddress.ip_address(address)
    plain = getattr(found, "ipv4_mapped", None) or found  # as a socket for both versions shows it
    return any(plain in network for network in networks)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
