"""Signatures of webhook messages, as Standard Webhooks has them.

`v1` is an HMAC-SHA256 with a secret that the receiver has too (`whsec_…`). `v1a` is an ed25519
signature: its private key (`whsk_…`) stays here, and everyone may have the public one (`whpk_…`).
"""

from __future__ import annotations

import secrets
from base64 import b64decode, b64encode
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

from standardwebhooks import Webhook

_SECRET, _PRIVATE, _PUBLIC = "whsec_", "whsk_", "whpk_"
_SECRET_BYTES = 32


def new_secret() -> str:
    """A fresh secret for `v1`."""
    return _SECRET + b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def new_private_key() -> str:
    """A fresh private key for `v1a`."""
    made = _ed25519().Ed25519PrivateKey.generate()
    return _PRIVATE + b64encode(made.private_bytes_raw()).decode()


def public_key(private: str) -> str:
    """The public half of a private key, in the form that receivers configure."""
    return _PUBLIC + b64encode(_key(private).public_key().public_bytes_raw()).decode()


def signatures(
    message_id: str, seconds: float, body: str, shared: Iterable[str], private: str
) -> str:
    """The header `webhook-signature`: one `v1` for each shared secret, and one `v1a`.

    `seconds` since 1970 is the time of this try.
    """
    at = datetime.fromtimestamp(int(seconds), UTC)
    made = [Webhook(secret).sign(message_id, at, body) for secret in shared]
    signed = _key(private).sign(f"{message_id}.{int(seconds)}.{body}".encode())
    return " ".join([*made, "v1a," + b64encode(signed).decode()])


def _key(private: str) -> Any:
    return _ed25519().Ed25519PrivateKey.from_private_bytes(
        b64decode(private.removeprefix(_PRIVATE))
    )


def _ed25519() -> Any:
    """The library, loaded by who signs or shows a key alone: it takes 7 MB."""
    return import_module("cryptography.hazmat.primitives.asymmetric.ed25519")
