"""The first check of addresses: which URLs may be a source, or a webhook, at all."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Sequence
from urllib.parse import urlsplit

from config.values import Network
from tasks.errors import BlockedAddress, NetworkError, UnsupportedUrl

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

MAX_URL_LENGTH = 4096
_CONTROL = re.compile(r"[\x00-\x20\x7f\\]")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_SIX_TO_FOUR = ipaddress.ip_network("2002::/16")
# Networks that Python (depending on its version) calls global although no public site is there.
_SPECIAL: tuple[Network, ...] = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.88.99.0/24", "224.0.0.0/4",
        "240.0.0.0/4", "168.63.129.16/32", "192.31.196.0/24", "192.52.193.0/24", "192.175.48.0/24",
        "2001::/23", "2620:4f:8000::/48", "3fff::/20",
    )
)  # fmt: skip
# The only part of IPv6 with public addresses. An address outside carries an IPv4 address or is
# special.
_PUBLIC_SIX = ipaddress.ip_network("2000::/3")


def check_url(url: str, allowed: Sequence[Network]) -> None:
    """Check the text of a URL, without a look-up. Raises UnsupportedUrl or BlockedAddress.

    Spellings such as `http://2130706433` are addresses too: the resolver reads a number as one.
    """
    host = _host_of(url)
    literal = _literal(host)
    if literal is not None:
        check_address(literal, allowed)
    elif host == "localhost" or host.endswith(".localhost"):
        check_address(ipaddress.ip_address("127.0.0.1"), allowed)


def resolve_and_check(url: str, allowed: Sequence[Network]) -> list[str]:
    """The addresses of a URL's host, all of them checked. Raises BlockedAddress or NetworkError."""
    host = _host_of(url)
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise NetworkError("the host name cannot be looked up") from error
    addresses = [str(address[0]) for *_, address in found]
    for address in addresses:
        check_address(ipaddress.ip_address(address.split("%")[0]), allowed)
    return addresses


def check_address(address: Address, allowed: Sequence[Network]) -> None:
    """Raises BlockedAddress unless the address is public or in a network the operator allows."""
    plain = _unwrapped(address)
    if any(plain in network for network in allowed if network.version == plain.version):
        return
    special = any(plain in network for network in _SPECIAL if network.version == plain.version)
    outside = plain.version == 6 and plain not in _PUBLIC_SIX
    if special or outside or not plain.is_global:
        raise BlockedAddress(
            "this address is not public: the operator may allow it (CLIPMILL_ALLOWED_NETWORKS)"
        )


def _host_of(url: str) -> str:
    if len(url) > MAX_URL_LENGTH:
        raise UnsupportedUrl(f"the URL is longer than {MAX_URL_LENGTH} characters")
    if _CONTROL.search(url):
        raise UnsupportedUrl(
            "the URL holds a space, a backslash or a control character: percent-encode it"
        )
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise UnsupportedUrl("this is not a valid URL") from error
    if parts.scheme not in {"http", "https"}:
        raise UnsupportedUrl("only http and https URLs can be used")
    if not host or ("[" in parts.netloc and ":" not in host):
        raise UnsupportedUrl("the URL names no host")
    if parts.username is not None or parts.password is not None:
        raise UnsupportedUrl("a URL must not hold a user name or password")
    return _as_resolved(host)


def _as_resolved(host: str) -> str:
    """The host in the letters that a resolver receives: `①⑦.ⓔⓧⓐⓜⓟⓛⓔ` becomes `17.example`."""
    if "%" in host:
        raise UnsupportedUrl("the host must be written without percent signs")
    try:
        plain = host.encode("idna").decode("ascii").rstrip(".").lower()
    except UnicodeError as error:
        raise UnsupportedUrl("the URL names no possible host") from error
    if not plain:
        raise UnsupportedUrl("the URL names no host")
    return plain


def _literal(host: str) -> Address | None:
    """The address that a host spells, in any form that the resolver accepts; None for a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        pass
    try:
        return ipaddress.ip_address(socket.inet_aton(host))  # 127.1, 0x7f.1, 0177.0.0.1, 2130706433
    except OSError:
        return None


def _unwrapped(address: Address) -> Address:
    """The IPv4 address inside an IPv6 address that only carries it; else the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if address in _SIX_TO_FOUR:
        return ipaddress.IPv4Address(int(address) >> 80 & 0xFFFFFFFF)
    return address
