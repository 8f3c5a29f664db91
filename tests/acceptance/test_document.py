"""The API does what its OpenAPI document says, asked in thousands of ways that it allows or not."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from clipmill.local.keys import make_key
from tests.support.system import System

CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance",
    "response_headers_conformance", "response_schema_conformance",
)  # fmt: skip
# Streams do not end, and a request that waits would take its time each time.
WITHOUT = "/events$"
CONFIG = '[parameters]\n"query.wait" = 0\n'
LEAST_REQUESTS = 1500


@pytest.mark.timeout(300)
@pytest.mark.parametrize("keyed", [False, True])
def test_no_request_gets_an_answer_that_the_document_does_not_have(
    tmp_path: Path, keyed: bool
) -> None:
    settings, headers = {}, []
    if keyed:
        file = tmp_path / "keys"
        headers = ["-H", f"X-API-Key: {make_key(file, 'ann', ('read', 'submit', 'admin'))}"]
        settings = {"api_keys_file": str(file), "rate_limit": "0"}
    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    argv = [
        Path(sys.executable).with_name("schemathesis"), "--config-file", "schemathesis.toml", "run",
        "--checks", ",".join(CHECKS), "--max-examples", "15", "--seed", "1",
        "--request-timeout", "70", "--exclude-path-regex", WITHOUT, "--no-color", *headers,
    ]  # fmt: skip
    with System(tmp_path / "s", scripted=True, options=["--quick"], **settings) as system:
        document = f"{system.url}/api/v2/openapi.json"
        done = subprocess.run(
            [*argv, document], capture_output=True, text=True, timeout=280, cwd=tmp_path
        )
    assert done.returncode == 0, done.stdout[-6000:]
    generated = re.search(r"(\d+) generated", done.stdout)
    assert generated is not None
    assert int(generated[1]) >= LEAST_REQUESTS
