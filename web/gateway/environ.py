"""A request as WSGI has it (PEP 3333), from what ASGI says of it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from io import BytesIO
from typing import Any

from web.http.links import take_link

Environ = dict[str, Any]
Scope = Mapping[str, Any]

_UNPREFIXED = {b"content-type": "CONTENT_TYPE", b"content-length": "CONTENT_LENGTH"}
_COMMON: Environ = {
    "SCRIPT_NAME": "",
    "wsgi.version": (1, 0),
    "wsgi.errors": sys.stderr,
    "wsgi.input_terminated": True,
    "wsgi.multithread": True,
    "wsgi.multiprocess": False,
    "wsgi.run_once": False,
}


def environ_of(scope: Scope) -> Environ:
    """The request without its body.

    A header whose name has an underscore is left out: WSGI could not tell it from the one with a
    hyphen, which a proxy may have set.
    """
    server, port = scope["server"] or ("", 0)
    peer, peer_port = scope["client"] or ("", 0)
    environ = {
        **_COMMON,
        "REQUEST_METHOD": scope["method"],
        "PATH_INFO": scope["path"].encode().decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": server,
        "SERVER_PORT": str(port),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": peer,
        "REMOTE_PORT": str(peer_port),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": BytesIO(),
    }
    for name, value in scope["headers"]:
        if b"_" in name:
            continue
        key = _UNPREFIXED.get(name) or "HTTP_" + name.decode("latin-1").upper().replace("-", "_")
        text = value.decode("latin-1")
        separator = "; " if key == "HTTP_COOKIE" else ","
        environ[key] = f"{environ[key]}{separator}{text}" if key in environ else text
    take_link(environ)
    return environ


def with_body(environ: Environ, body: bytes) -> None:
    """Give the request its body."""
    environ["wsgi.input"] = BytesIO(body)
    environ["CONTENT_LENGTH"] = str(len(body))
    environ.pop("HTTP_TRANSFER_ENCODING", None)
