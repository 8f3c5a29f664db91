"""Which caller sends a request, and whether it has access. Works without Flask, on WSGI alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from config.api import API_BASE
from config.api_keys import LOCAL, SCOPES
from config.settings import Settings, is_loopback
from web.http.api_keys import KeyFile
from web.http.errors import Forbidden, MissingCredentials

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# Answered to every client: probes, the page, and the description of the API.
PUBLIC_PATHS = frozenset(
    {"/", "/livez", "/readyz", "/health", "/docs",
     f"{API_BASE}/system/health", f"{API_BASE}/openapi.json"}
)  # fmt: skip
PUBLIC_FOLDERS = ("/docs/",)


@dataclass(frozen=True)
class Caller:
    """The sender of a request. `name` owns the jobs that it submits."""

    name: str
    scopes: frozenset[str]

    @property
    def owner(self) -> str | None:
        """The owner whose jobs the caller may see and change; None means all owners."""
        return None if "admin" in self.scopes else self.name

    def may(self, scope: str) -> bool:
        """Whether the caller has the scope; `admin` includes all scopes."""
        return scope in self.scopes or "admin" in self.scopes


# Without keys every client on this machine is the same trusted caller.
LOCAL_CALLER = Caller(LOCAL, frozenset(SCOPES))
NOBODY = Caller("anonymous", frozenset())


class Authenticator:
    """Accepts requests or rejects them."""

    def __init__(self, settings: Settings) -> None:
        """Raises KeyFileError or OSError when the key file cannot be used."""
        self._keys = (
            KeyFile(settings.api_keys_file)
            if settings.auth_required and settings.api_keys_file is not None
            else None
        )
        self._local_only = self._keys is None and not settings.insecure_no_auth
        self._public = PUBLIC_PATHS | ({"/metrics"} if is_loopback(settings.host) else set())

    def authenticate(self, environ: Mapping[str, Any]) -> Caller:
        """The caller of a request. Raises MissingCredentials or Forbidden."""
        if self._local_only:
            _check_local(environ)
        if self._keys is None:
            return LOCAL_CALLER
        path = environ.get("PATH_INFO", "")
        if path in self._public or path.startswith(PUBLIC_FOLDERS):
            return NOBODY
        presented = _presented(environ)
        key = self._keys.find(presented) if presented else None
        if key is None:
            raise MissingCredentials("send a valid key as `X-API-Key` or `Authorization: Bearer`")
        caller = Caller(key.name, key.scopes)
        scope = "read" if environ["REQUEST_METHOD"] in SAFE_METHODS else "submit"
        if not caller.may(scope):
            raise Forbidden(f"this key does not have the scope `{scope}`")
        return caller


def _presented(environ: Mapping[str, Any]) -> str | None:
    key = environ.get("HTTP_X_API_KEY")
    if key:
        return str(key)
    kind, _, token = str(environ.get("HTTP_AUTHORIZATION", "")).partition(" ")
    return token.strip() if kind.lower() == "bearer" else None


def _check_local(environ: Mapping[str, Any]) -> None:
    """Without keys, a web page must not be able to use the API through its visitor's browser.

    A page whose name was made to point at 127.0.0.1 (DNS rebinding) still has its name in `Host`.
    A page that posts a form across origins has its own origin in `Origin`.
    """
    host = environ.get("HTTP_HOST", "")
    if not _names_loopback(host):
        raise Forbidden("without API keys only loopback names (localhost, 127.0.0.1) are answered")
    origin = environ.get("HTTP_ORIGIN")
    if origin is None or environ["REQUEST_METHOD"] in SAFE_METHODS:
        return
    if urlsplit(origin).netloc.lower() != host.lower():
        raise Forbidden("without API keys a page of another origin may change nothing")


def _names_loopback(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return is_loopback(name.rstrip("."))
