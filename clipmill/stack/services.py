"""The processes that make up Clipmill on one machine, and how each gets the others' addresses."""

from __future__ import annotations

import http.client
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from clipmill.stack.processes import Command
from clipmill.stack.service import Service
from clipmill.stack.supervisor import StackError, Supervisor, folder_lock
from clipmill.stack.valkey import SOCKET_NAME, answers, fits_a_socket, socket_url, valkey_command
from config.machine import memory_limit_bytes
from config.memory import LEAST_BUDGET_BYTES, STACK_BYTES, default_budget_bytes, too_little
from config.settings import CLIENT_NAMES, PREFIX, Settings

STOP_ORDER = ("api", "worker", "broker")
API_STOP_SECONDS = 10.0
BROKER_STOP_SECONDS = 10.0
AFTER_GRACE_SECONDS = 5.0  # what a worker needs beyond the grace that its jobs get
FOLDER_PREFIX = "clipmill-"
BUDGET = PREFIX + "MEMORY_BUDGET"
SHORT_FOLDER = Path("/tmp")  # noqa: S108  # only to make a folder of a name of its own in

# `-P`: a folder `web` or `config` in the user's current folder must not be imported for ours.
PYTHON = (sys.executable, "-P")


@dataclass(frozen=True)
class Stack:
    """All of Clipmill, ready on this machine."""

    url: str
    supervisor: Supervisor


@contextmanager
def running_stack(
    settings: Settings,
    environ: Mapping[str, str],
    *,
    log_folder: Path | None = None,
    leftovers: Sequence[Path] = (),
) -> Iterator[Stack]:
    """The stack that these settings describe, ready; stopped at the end of the block.

    `environ` is the environment that the settings were read from. Output of API and worker goes to
    files in `log_folder`, or to our own output. `leftovers` are folders that are removed with the
    stack, even when this process is killed. Raises StackError when the stack does not start.
    """
    settings.data_dir.mkdir(mode=0o750, parents=True, exist_ok=True)
    url_file = settings.data_dir / "api.url"
    environ = {name: value for name, value in environ.items() if name not in CLIENT_NAMES}
    environ[BUDGET] = environ.get(BUDGET, "").strip() or str(stack_budget_bytes())
    with folder_lock(settings.data_dir) as lock, _place(settings) as (socket_path, made_folders):
        url_file.unlink(missing_ok=True)
        services: list[Service] = []
        if socket_path:
            environ["CLIPMILL_REDIS_URL"] = socket_url(socket_path)
            services.append(_broker(settings, socket_path, environ))
        # The worker first: the API is ready only when a worker is running.
        services.append(_worker(settings, environ, log_folder))
        services.append(_api(url_file, environ, log_folder))
        folders = [*leftovers, *made_folders]
        with Supervisor(services, stop_order=STOP_ORDER, lock=lock, leftovers=folders) as running:
            try:
                yield Stack(read_url(url_file) or "", running)
            finally:
                url_file.unlink(missing_ok=True)


def stack_budget_bytes() -> int:
    """What the media tools may use when no setting says it and the whole stack runs beside them.

    The worker cannot compute this, since it does not know that the rest runs here as well. Raises
    StackError.
    """
    limit = memory_limit_bytes()
    budget = default_budget_bytes(limit, STACK_BYTES)
    if budget < LEAST_BUDGET_BYTES:
        raise StackError(too_little(limit, STACK_BYTES))
    return budget


@contextmanager
def _place(settings: Settings) -> Iterator[tuple[Path | None, list[Path]]]:
    """The path of the embedded broker's socket, and the folder that was made for it, if any.

    The socket is in the broker's data folder, unless that path is too long. None without an
    embedded broker.
    """
    if settings.redis_url is not None:
        yield None, []
        return
    folder = settings.data_dir / "broker"
    folder.mkdir(exist_ok=True, mode=0o700)
    if fits_a_socket(folder):
        yield folder / SOCKET_NAME, []
        return
    # Its mode is 0700.
    with tempfile.TemporaryDirectory(prefix=FOLDER_PREFIX, dir=_short_folder()) as name:
        yield Path(name) / SOCKET_NAME, [Path(name)]


def _short_folder() -> Path:
    """The folder of temporary files, unless its path is too long as well."""
    usual = Path(tempfile.gettempdir())
    return usual if fits_a_socket(usual / f"{FOLDER_PREFIX}12345678") else SHORT_FOLDER


def _broker(settings: Settings, socket_path: Path, environ: Mapping[str, str]) -> Service:
    folder, memory_bytes = settings.data_dir / "broker", settings.embedded_store_bytes
    command = valkey_command(folder, socket_path, environ, memory_bytes)
    return Service("broker", lambda: command, lambda: answers(socket_path), BROKER_STOP_SECONDS)


def _worker(settings: Settings, environ: Mapping[str, str], log_folder: Path | None) -> Service:
    command = Command(
        (*PYTHON, "-m", "worker.app"),
        environ,
        log=log_folder / "worker.log" if log_folder else None,
    )
    stop_seconds = settings.shutdown_grace_seconds + AFTER_GRACE_SECONDS
    return Service("worker", lambda: command, lambda: True, stop_seconds)


def _api(url_file: Path, environ: Mapping[str, str], log_folder: Path | None) -> Service:
    def command() -> Command:
        changes = {}
        # Port 0 means a free port. A restart uses the same port, so that clients find it again.
        if (url := read_url(url_file)) and environ.get("CLIPMILL_PORT") == "0":
            changes["CLIPMILL_PORT"] = str(urlsplit(url).port)
        return Command(
            (*PYTHON, "-m", "web.server", "--ready-file", str(url_file)),
            {**environ, **changes},
            log=log_folder / "api.log" if log_folder else None,
        )

    return Service("api", command, lambda: _is_ready(read_url(url_file)), API_STOP_SECONDS)


def read_url(url_file: Path) -> str | None:
    """The URL that the API wrote; None until then."""
    try:
        return url_file.read_text().strip() or None
    except FileNotFoundError:
        return None


def _is_ready(url: str | None) -> bool:
    if url is None:
        return False
    # This process lives as long as the stack, so a larger HTTP client would cost memory all along.
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=5.0)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
