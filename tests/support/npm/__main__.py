"""Fetches the packages, checks them, and keeps what is run of them.

The registry is npm's own, or the one that `NPM_CONFIG_REGISTRY` names.
"""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from base64 import b64decode
from pathlib import Path

import httpx2

FOLDER = Path(__file__).parent / "node_modules"
# Each package with its version, the checksum of its archive, and the files that are kept.
PACKAGES = {
    "standardwebhooks": (
        "1.1.1",
        "bCbX9ZEyFkWPsRz7Bl3NuQUJohmwGSev/yhr7vhaGPlc4AfIrspIRa6cPTBuI1ItmrTDJ4d/S2hCsfe4+vQGnQ==",
        ("package.json", "dist/index.js", "dist/timing_safe_equal.js"),
    ),
    "@stablelib/base64": (
        "1.0.1",
        "1bnPQqSxSuc3Ii6MhBysoWCg58j97aUjuCSZrGSmDxNqtytIi0k8utUenAwTZN4V5mXXYGsVUI9zeBqy+jBOSQ==",
        ("package.json", "LICENSE", "lib/base64.js"),
    ),
    "fast-sha256": (
        "1.3.0",
        "n11RGP/lrWEFI/bWdygLxhI+pVeo1ZYIVwvvPkW7azl/rOy+F3HYRZ2K5zeE9mmkhQppyv9sQFx0JM9UabnpPQ==",
        ("package.json", "LICENSE", "sha256.js"),
    ),
}


def main() -> None:
    registry = os.environ.get("NPM_CONFIG_REGISTRY", "https://registry.npmjs.org").rstrip("/")
    for name, (version, checksum, files) in PACKAGES.items():
        archive = f"{registry}/{name}/-/{name.rpartition('/')[2]}-{version}.tgz"
        content = httpx2.get(archive, follow_redirects=True).raise_for_status().content
        if hashlib.sha512(content).digest() != b64decode(checksum):
            raise SystemExit(f"{name} {version} is not what it was")
        with tarfile.open(fileobj=io.BytesIO(content)) as opened:
            for file in files:
                found = opened.extractfile(f"package/{file}")
                assert found is not None
                path = FOLDER / name / file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(found.read())


if __name__ == "__main__":
    main()
