"""The system under measurement: started in a folder of its own, stopped without a trace."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from clipmill.client import Client
from clipmill.stack.services import running_stack
from clipmill.stack.supervisor import Supervisor
from config.settings import load_settings
from tests.support.box.system import environment

LOG_LINES = 15


@dataclass(frozen=True)
class System:
    """A running stack and a client of it."""

    client: Client
    url: str
    supervisor: Supervisor

    def processes(self) -> dict[str, psutil.Process]:
        """The process of each service, by name."""
        return {service_name(found): found for found in map(psutil.Process, self.supervisor.pids())}


SERVICES = {
    "web.server": "API",
    "worker.app": "worker",
    "valkey": "broker",
    "stack/guard.py": "guard",
}


def service_name(process: psutil.Process) -> str:
    """The service that a process of the stack is, by its command line."""
    line = " ".join(process.cmdline())
    return next((name for word, name in SERVICES.items() if word in line), line)


@contextmanager
def fresh_system(**settings: str) -> Iterator[System]:
    """Broker, API and worker, ready, with no jobs. `settings` are named without the prefix."""
    with tempfile.TemporaryDirectory(prefix="clipmill-bench-") as name:
        folder = Path(name)
        environ = environment(DATA_DIR=str(folder / "data"), **settings)
        with (
            running_stack(
                load_settings(environ), environ, log_folder=folder, leftovers=[folder]
            ) as stack,
            Client(stack.url) as client,
        ):
            try:
                yield System(client, stack.url, stack.supervisor)
            except Exception as error:
                error.add_note(last_lines(folder))  # the logs are removed with the folder
                raise


def last_lines(folder: Path) -> str:
    """The last log lines of API and worker."""
    parts = []
    for log in sorted(folder.glob("*.log")):
        parts += [f"--- {log.name}", *log.read_text(errors="replace").splitlines()[-LOG_LINES:]]
    return "\n".join(parts)
