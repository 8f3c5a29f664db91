"""What Flask is told of a request."""

from __future__ import annotations

from typing import Any

from web.gateway.environ import environ_of, with_body


def scope(**changed: Any) -> dict[str, Any]:
    usual = {
        "type": "http", "http_version": "1.1", "method": "GET", "scheme": "http", "path": "/",
        "query_string": b"", "headers": [], "client": ("10.0.0.9", 4711),
        "server": ("127.0.0.1", 8080),
    }  # fmt: skip
    return usual | changed


def test_it_names_the_peer_the_path_and_the_protocol() -> None:
    environ = environ_of(scope(path="/a b/é", query_string=b"q=%20", http_version="1"))
    assert environ["REMOTE_ADDR"] == "10.0.0.9"
    assert environ["REMOTE_PORT"] == "4711"
    assert environ["PATH_INFO"].encode("latin-1").decode() == "/a b/é"
    assert environ["QUERY_STRING"] == "q=%20"
    assert environ["SERVER_PROTOCOL"] == "HTTP/1"


def test_headers_that_come_twice_are_joined() -> None:
    headers = [(b"accept", b"a"), (b"accept", b"b"), (b"cookie", b"x=1"), (b"cookie", b"y=2")]
    environ = environ_of(scope(headers=headers))
    assert environ["HTTP_ACCEPT"] == "a,b"
    assert environ["HTTP_COOKIE"] == "x=1; y=2"


def test_a_header_with_an_underscore_passes_for_no_other() -> None:
    headers = [(b"x_api_key", b"forged"), (b"content_length", b"9"), (b"host", b"here")]
    environ = environ_of(scope(headers=headers))
    assert "HTTP_X_API_KEY" not in environ
    assert "CONTENT_LENGTH" not in environ
    assert environ["HTTP_HOST"] == "here"


def test_nothing_of_this_process_is_in_it(monkeypatch: Any) -> None:
    monkeypatch.setenv("CLIPMILL_SECRET", "s")
    assert "CLIPMILL_SECRET" not in environ_of(scope())


def test_a_body_of_unknown_length_gets_its_length() -> None:
    environ = environ_of(scope(headers=[(b"transfer-encoding", b"chunked")]))
    with_body(environ, b"12345")
    assert environ["CONTENT_LENGTH"] == "5"
    assert "HTTP_TRANSFER_ENCODING" not in environ
    assert environ["wsgi.input"].read() == b"12345"
