"""Which caller sends a request, and whether it has access. Works without Flask, on WSGI alone."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from config.api import API_BASE
from config.api_keys import LOCAL, NO_LIMITS, SCOPES, KeyLimits
from config.settings import Settings, is_loopback
from tasks.access.link_secrets import LinkSecrets
from web.http.api_keys import Key, KeyFile
from web.http.client_address import client_address, is_in
from web.http.errors import Forbidden, MissingCredentials
from web.http.links import LINK, Grant, granted

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# Answered to every client: probes, the page, and the description of the API.
PUBLIC_PATHS = frozenset(
    {"/", "/livez", "/readyz", "/health", "/docs", "/.well-known/webhook-keys",
     f"{API_BASE}/system/health", f"{API_BASE}/openapi.json"}
)  # fmt: skip
PUBLIC_FOLDERS = ("/docs/",)
PROBES = frozenset({"/livez", "/readyz"})
_SHORT = 16
_OLD_PROTOCOL = ("HTTP/1", "HTTP/1.0")  # the former is how Granian writes it
# What proxies add to a request.
_PROXY_HEADERS = frozenset(
    f"HTTP_{name}"
    for name in (
        "FORWARDED", "VIA", "X_FORWARDED", "X_FORWARDED_BY", "X_FORWARDED_FOR", "X_FORWARDED_HOST",
        "X_FORWARDED_METHOD", "X_FORWARDED_PATH", "X_FORWARDED_PORT", "X_FORWARDED_PREFIX",
        "X_FORWARDED_PROTO", "X_FORWARDED_SCHEME", "X_FORWARDED_SERVER", "X_FORWARDED_SSL",
        "X_FORWARDED_URI", "X_ORIGINAL_FOR", "X_ORIGINAL_HOST", "X_ORIGINAL_URI", "X_REAL_IP",
        "X_CLIENT_IP", "X_CLUSTER_CLIENT_IP", "X_ENVOY_EXTERNAL_ADDRESS", "X_AMZN_TRACE_ID",
        "X_CLOUD_TRACE_CONTEXT", "CDN_LOOP", "CF_CONNECTING_IP", "CF_RAY", "FASTLY_CLIENT_IP",
        "TRUE_CLIENT_IP",
    )
)  # fmt: skip


@dataclass(frozen=True)
class Caller:
    """The sender of a request. `name` owns the jobs that it submits."""

    name: str
    scopes: frozenset[str]
    digest: bytes = b""  # of the key that was shown
    limits: KeyLimits = NO_LIMITS
    until: float | None = None  # of a link that stands for the key

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

    def __init__(self, settings: Settings, links: LinkSecrets | None = None) -> None:
        """Raises KeyFileError or OSError when the key file cannot be used."""
        self._settings = settings
        self._links = links
        self._last_used: dict[str, float] = {}
        self._found = (
            KeyFile(settings.api_keys_file)
            if settings.auth_required and settings.api_keys_file is not None
            else None
        )

    @property
    def _keys(self) -> KeyFile | None:
        """The keys; None as long as none was made. From the first on they are asked for."""
        if self._found is None and not self._settings.insecure_no_auth:
            usual = self._settings.usual_keys_file
            if usual.exists():
                self._found = KeyFile(usual)
        return self._found

    def authenticate(self, environ: Mapping[str, Any]) -> Caller:
        """The caller of a request. Raises MissingCredentials or Forbidden."""
        self._check_client(environ)
        if LINK in environ:
            return self._linked(environ)
        keys = self._keys
        if keys is None:
            if not self._settings.insecure_no_auth:
                _check_local(environ, self._settings.cors_origins)
            return LOCAL_CALLER
        if _is_public(environ):
            return NOBODY
        presented = _presented(environ)
        key = keys.find(presented) if presented else None
        if key is None:
            raise MissingCredentials("send a valid key as `X-API-Key` or `Authorization: Bearer`")
        self._check_key(key, environ)
        self._last_used[key.name] = time.time()
        reads = environ["REQUEST_METHOD"] in SAFE_METHODS
        caller = Caller(key.name, key.scopes, key.digest, self._limits_of(key, reads))
        scope = "read" if reads else "submit"
        if not caller.may(scope):
            raise Forbidden(f"this key does not have the scope `{scope}`")
        return caller

    def grant(self, caller: Caller, seconds: float) -> Grant:
        """What a link of this caller may allow for so long."""
        key = caller.digest.hex()[:_SHORT] if self._keys is not None else ""
        return Grant(caller.name, caller.owner is None, key, round(time.time() + seconds, 3))

    def _linked(self, environ: Mapping[str, Any]) -> Caller:
        """The maker of the request's link, for reading alone. Raises MissingCredentials."""
        grant = granted(self._links, environ) if self._links is not None else None
        if grant is None or environ["REQUEST_METHOD"] not in SAFE_METHODS:
            raise MissingCredentials("this link is not valid here, or its time is over")
        keys = self._keys.present() if self._keys is not None else ()
        made_by = [key for key in keys if key.digest.hex().startswith(grant.key or "-")]
        if grant.key and not any(_counts(key) for key in made_by):
            raise MissingCredentials("the key that made this link is revoked, or has expired")
        scopes = frozenset(("read", "admin") if grant.sees_all else ("read",))
        digest = made_by[0].digest if made_by else b""
        return Caller(grant.owner, scopes, digest, until=grant.until)

    def _limits_of(self, key: Key, reads: bool) -> KeyLimits:
        """The key's own limits of requests, or the usual one for those that change something."""
        own = key.limits
        if reads or own.requests_per_second or own.requests_per_minute:
            return own
        return replace(own, requests_per_second=self._settings.rate_limit or None)

    def _check_client(self, environ: Mapping[str, Any]) -> None:
        """Raises Forbidden for a client whose network is not served. Probes are answered to all."""
        settings = self._settings
        if not (settings.allowed_clients or settings.blocked_clients):
            return
        address = client_address(environ, settings.trusted_proxies)
        allowed = not settings.allowed_clients or is_in(address, settings.allowed_clients)
        if allowed and not is_in(address, settings.blocked_clients):
            return
        if environ.get("PATH_INFO") not in PROBES:
            raise Forbidden("clients of this network are not served")

    def _check_key(self, key: Key, environ: Mapping[str, Any]) -> None:
        """Raises MissingCredentials for an expired key, Forbidden for a client it is not for."""
        if not _counts(key):
            raise MissingCredentials("this key has expired: ask for a new one")
        if key.networks:
            address = client_address(environ, self._settings.trusted_proxies)
            if not is_in(address, key.networks):
                raise Forbidden("this key may not be used from this network")

    def admits(self, caller: Caller) -> bool:
        """Whether the caller's key is still what it was: for an answer that lasts."""
        if caller.until is not None and caller.until <= time.time():
            return False
        if self._keys is None or caller is NOBODY:
            return True
        known = (key for key in self._keys.present() if key.digest == caller.digest)
        return any(
            (caller.until is not None or key.scopes >= caller.scopes) and _counts(key)
            for key in known
        )

    def take_last_used(self) -> dict[str, float]:
        """When keys were used since the last call, by name, in seconds since 1970."""
        taken, self._last_used = self._last_used, {}
        return taken

    def present(self) -> tuple[Key, ...]:
        """The keys that count now."""
        return self._keys.present() if self._keys is not None else ()


def _counts(key: Key) -> bool:
    """Whether the key has not expired."""
    return key.expires_at is None or key.expires_at > time.time()


def _is_public(environ: Mapping[str, Any]) -> bool:
    path = environ.get("PATH_INFO", "")
    return path in PUBLIC_PATHS or path.startswith(PUBLIC_FOLDERS)


def _presented(environ: Mapping[str, Any]) -> str | None:
    key = environ.get("HTTP_X_API_KEY")
    if key:
        return str(key)
    kind, _, token = str(environ.get("HTTP_AUTHORIZATION", "")).partition(" ")
    return token.strip() if kind.lower() == "bearer" else None


def _check_local(environ: Mapping[str, Any], origins: Collection[str]) -> None:
    """Without keys only programs of this machine are answered: no stranger, no page they visit.

    Behind a proxy every stranger would look like this machine. A page whose name was made to point
    at 127.0.0.1 (DNS rebinding) still has its name in `Host`. A page that posts a form across
    origins has its own origin in `Origin`.
    """
    if not _is_public(environ):
        _check_direct(environ)
    host = environ.get("HTTP_HOST", "")
    if not _names_loopback(host):
        raise Forbidden("without API keys only loopback names (localhost, 127.0.0.1) are answered")
    origin = environ.get("HTTP_ORIGIN")
    if origin is None or environ["REQUEST_METHOD"] in SAFE_METHODS:
        return
    if origin.lower() in origins:
        return  # the operator has named it; `*` is for those with keys
    if urlsplit(origin).netloc.lower() != host.lower():
        raise Forbidden("without API keys a page of another origin may change nothing")


def _check_direct(environ: Mapping[str, Any]) -> None:
    """Refuse what came through a proxy, or from another machine.

    A proxy says so in a header, or it is nginx as it comes (before 1.29.7), which adds no header,
    puts its own address into `Host`, and alone still speaks HTTP/1.0.
    """
    peer = environ.get("REMOTE_ADDR", "127.0.0.1")
    old = environ.get("SERVER_PROTOCOL") in _OLD_PROTOCOL
    if old or not _PROXY_HEADERS.isdisjoint(environ) or not is_loopback(peer):
        raise Forbidden(
            "without API keys nothing that comes through a proxy or from another machine is "
            "answered: make a key with `clipmill keys new NAME`"
            + (" (HTTP/1.0 is taken for a proxy: use HTTP/1.1)" if old else "")
        )


def _names_loopback(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return is_loopback(name.rstrip("."))
