"""Which URLs may be a source: none that reads a file, names an option or leads inside."""

from __future__ import annotations

import socket
from ipaddress import ip_address, ip_network

import pytest

from tasks.addresses import check_address, check_url, resolve_and_check
from tasks.errors import BlockedAddress, NetworkError, UnsupportedUrl


@pytest.mark.parametrize(
    "url",
    [
        "http://93.184.216.34/v.mp4", "https://media.example/v?x=1#t=3", "HTTPS://Media.Example",
        "http://[2606:4700::1111]:8080/", "http://media.example./", "http://müller.example/ü",
        "https://xn--mller-kva.example/", "http://example.com:80", "http://a_b.example/",
        "http://evil.example#@127.0.0.1/", "http://127.0.0.1.example.com/", "http://[64:ff9b::5db8:d822]/",
    ],
)  # fmt: skip
def test_a_public_address_may_be_a_source(url: str) -> None:
    check_url(url, ())


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd", "FILE:///etc/passwd", "ftp://example.com/x", "gopher://example.com",
        "data:text/plain,x", "javascript:alert(1)", "concat:a|b", "subfile:,,start,1,end,2,,:/x",
        "rtmp://example.com/x", "ytsearch:cats", "//example.com/x", "example.com/x", "/etc/passwd",
        "http:example.com", "http:///x", "http://", "http://:80/", "http://./", "", " ", "-",
        "-oProxyCommand=x", "--exec=touch /tmp/p", "--exec=x", "http://exa mple.com/",
        "http://example.com/a b", "http://example.com/\n", "\thttp://example.com", "http://a\0b",
        "http://example.com\\@127.0.0.1/", "http:\\\\127.0.0.1", "http://example.com:99999/",
        "http://example.com:x/", "http://[::1", "http://[v1.x]/", "http://a..b/",
        "http://127.0.0.1../", "http://[127.0.0.1]/",
        "http://" + "a" * 64 + ".example/", "http://\u2100.example/",
        "http://user@example.com/", "http://user:pw@example.com/", "http://@example.com/",
        "http://:@example.com/", "http://%31%32%37.0.0.1/", "http://127%2e0.0.1/",
        "http://[fe80::1%25eth0]/", "http://[fe80::1%eth0]/", "http://\ud800.example/",
        "http://example.com/" + "a" * 4096, "http://" + "a." * 3000 + "example",
    ],
)  # fmt: skip
def test_anything_else_is_not_supported(url: str) -> None:
    with pytest.raises(UnsupportedUrl):
        check_url(url, ())


@pytest.mark.parametrize(
    "host",
    [
        # Loopback, this host, private, link-local, shared, reserved, clouds' own services
        "127.0.0.1", "127.255.255.254", "localhost", "LOCALHOST", "a.localhost", "localhost.",
        "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1",
        "169.254.169.254", "100.64.0.1", "100.127.255.255", "100.100.100.200", "168.63.129.16",
        "192.0.0.192", "192.88.99.1", "198.18.0.1", "192.0.2.1", "203.0.113.1", "224.0.0.1",
        "239.1.1.1", "240.0.0.1", "255.255.255.255",
        # Other spellings that resolvers understand
        "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "0177.0.0.01", "127.1", "127.0.1",
        "127.0.0.1.", "0", "017700000001", "0x7F.0x0.0x0.0x1", "10.1", "192.168.257",
        # Other scripts' digits, dots and letters
        "①②⑦.⓪.⓪.①", "１２７.０.０.１", "127。0。0。1", "127．0．0．1", "127｡0｡0｡1",  # noqa: RUF001
        "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ", "ｌｏｃａｌｈｏｓｔ", "local\u00adhost", "local\u200bhost", "lOcAlHoSt",  # noqa: RUF001
        # IPv6, and IPv4 inside of it
        "[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]",
        "[::ffff:10.0.0.1]", "[64:ff9b::7f00:1]", "[64:ff9b::10.0.0.1]", "[64:ff9b:1::7f00:1]",
        "[2002:7f00:1::]", "[2002:a00:1::]", "[::127.0.0.1]", "[::ffff:0:127.0.0.1]", "[fe80::1]",
        "[fc00::1]", "[fd00:ec2::254]", "[fec0::1]", "[ff02::1]", "[2001:db8::1]",
        "[2001:0:7f00:1::]", "[100::1]", "[3fff::1]", "[5f00::1]", "[::ffff:168.63.129.16]",
    ],
)  # fmt: skip
def test_an_address_inside_is_blocked_in_every_spelling(host: str) -> None:
    for url in (f"http://{host}/x", f"https://{host}:8443"):
        with pytest.raises(BlockedAddress):
            check_url(url, ())


def test_an_operator_may_allow_networks() -> None:
    allowed = (ip_network("127.0.0.0/8"), ip_network("fd00::/8"))
    for url in (
        "http://127.0.0.1", "http://localhost", "http://[::ffff:127.0.0.1]", "http://2130706433",
        "http://[fd00::1]",
    ):  # fmt: skip
        check_url(url, allowed)
    for url in ("http://10.0.0.1", "http://[::1]", "http://169.254.169.254"):
        with pytest.raises(BlockedAddress):
            check_url(url, allowed)
    with pytest.raises(UnsupportedUrl):
        check_url("file:///etc/passwd", allowed)


def test_the_message_does_not_repeat_the_address() -> None:
    with pytest.raises(BlockedAddress) as caught:
        check_address(ip_address("10.1.2.3"), ())
    assert "10.1" not in caught.value.message


def answer(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Let every name resolve to these; there is no such name in this network."""
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (text, 0)) for text in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)


def test_every_address_of_a_name_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, "93.184.216.34", "2606:4700::1111")
    resolve_and_check("http://media.example/", ())
    for private in ("10.0.0.1", "::1", "fe80::1%eth0", "::ffff:127.0.0.1"):
        answer(monkeypatch, "93.184.216.34", private)
        with pytest.raises(BlockedAddress):
            resolve_and_check("http://media.example/", ())


def test_a_name_that_nobody_knows_is_a_network_error() -> None:
    with pytest.raises(NetworkError):
        resolve_and_check("http://nothing.invalid/", ())


def test_the_resolver_reads_odd_spellings_as_we_do() -> None:
    for host in ("2130706433", "0x7f.1", "0177.0.0.1", "127.1", "localhost"):
        with pytest.raises(BlockedAddress):
            resolve_and_check(f"http://{host}/", ())
