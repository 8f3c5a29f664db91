"""Which addresses the tools of a job may connect to: one policy, asked for every connection."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Collection, Sequence

from config.values import Network
from tasks.addresses import Address, check_address
from tasks.errors import BlockedAddress

# No site is behind the other ports below 1024, but mail, shells and databases are.
_WEB_PORTS = frozenset({80, 443})
_FIRST_FREE_PORT = 1024


class Policy:
    """Judges names; `own` are the addresses of this machine, public or not."""

    def __init__(self, allowed: Sequence[Network], own: Collection[str]) -> None:
        self._allowed = tuple(allowed)
        self._own = {ipaddress.ip_address(text) for text in own}

    def addresses(self, host: str, port: int) -> list[str]:
        """All addresses of a name, none of them forbidden; blocks. Raises OSError, BlockedAddress.

        What is connected to is one of these, and not what the name stands for a moment later.
        """
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
        texts = list(dict.fromkeys(str(address[0]) for *_, address in found))
        for text in texts:
            self._judge(ipaddress.ip_address(text.split("%")[0]), port)
        return texts

    def _judge(self, address: Address, port: int) -> None:
        check_address(address, self._allowed)
        if any(address in it for it in self._allowed if it.version == address.version):
            return  # the operator's own word, for all its ports
        if address in self._own:
            raise BlockedAddress("this is an address of this machine")
        if port < _FIRST_FREE_PORT and port not in _WEB_PORTS:
            raise BlockedAddress("no site is served at this port")
