"""A real Prometheus (Debian's package) that scrapes a system of a test with the files we ship."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import httpx2
import yaml

from tests.support.loopback import LOOPBACK
from tests.support.needs import needed_tool

CONFIG = Path(__file__).parents[2] / "config"


def program(name: str) -> str:
    """The path of `prometheus` or `promtool`, both from one package."""
    return needed_tool(name, "prometheus")


class Prometheus:
    """One server on a free port. A context manager that leaves nothing behind."""

    def __init__(self, folder: Path, api_url: str, scrape_interval: str = "1s") -> None:
        self._folder = folder
        self._program = program("prometheus")
        self._port = _free_port()
        config = yaml.safe_load((CONFIG / "prometheus.yml").read_text())
        config["global"] = {name: scrape_interval for name in config["global"]} | {
            "evaluation_interval": scrape_interval
        }
        for job, target in zip(
            config["scrape_configs"], (urlsplit(api_url).netloc, f"127.0.0.1:{self._port}"),
            strict=True,
        ):  # fmt: skip
            job.pop("authorization", None)  # on loopback no key is needed
            job["static_configs"] = [{"targets": [target]}]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        for rules in config["rule_files"]:
            shutil.copy(CONFIG / rules, folder / rules)

    def __enter__(self) -> Self:
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    self._program,
                    f"--config.file={self._folder / 'prometheus.yml'}",
                    f"--storage.tsdb.path={self._folder / 'data'}",
                    f"--web.listen-address=127.0.0.1:{self._port}",
                ],
                stdout=log,
                stderr=log,
            )
        self._client = httpx2.Client(
            base_url=f"http://127.0.0.1:{self._port}", timeout=20, **LOOPBACK
        )
        end = time.monotonic() + 30
        while not self._ready():
            assert self._process.poll() is None, (self._folder / "log").read_text()
            assert time.monotonic() < end, (self._folder / "log").read_text()
            time.sleep(0.05)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.close()
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The rows of an instant query."""
        return list(self._get("query", query=expression)["result"])

    def rules(self) -> list[dict[str, Any]]:
        """Every rule with its health, as it was last evaluated."""
        return [rule for group in self._get("rules")["groups"] for rule in group["rules"]]

    def _get(self, what: str, **parameters: str) -> dict[str, Any]:
        answer = self._client.get(f"/api/v1/{what}", params=parameters)
        assert answer.status_code == 200, answer.text
        return dict(answer.json()["data"])

    def _ready(self) -> bool:
        try:
            return self._client.get("/-/ready").status_code == 200
        except httpx2.TransportError:
            return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
