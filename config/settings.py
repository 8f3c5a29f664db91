"""Every setting: its name in the environment, its default, its meaning, and all checks."""

from __future__ import annotations

import ipaddress
import os
import re
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any

from config.api_keys import DEFAULT_NAME
from config.machine import cpu_count, memory_limit_bytes
from config.memory import (
    LEAST_BUDGET_BYTES,
    LEAST_STORE_BYTES,
    STACK_BYTES,
    WORKER_BYTES,
    default_budget_bytes,
    default_store_bytes,
    default_transfers,
    too_little,
)
from config.values import (
    ALL,
    Network,
    above_zero,
    one_of,
    parse_duration,
    parse_flag,
    parse_http_url,
    parse_kinds,
    parse_limit,
    parse_networks,
    parse_origins,
    parse_path,
    parse_port,
    parse_positive_int,
    parse_redis_url,
    parse_size,
    parse_storage_url,
)

PREFIX = "CLIPMILL_"
# With these the command line finds and uses an API. They are no settings of the server.
CLIENT_NAMES = frozenset({PREFIX + "API_URL", PREFIX + "API_KEY"})
# What Kubernetes puts into each container for a Service whose name begins with `clipmill`.
_OF_A_SERVICE = re.compile(
    rf"{PREFIX}(\w+_)?(SERVICE_(HOST|PORT(_\w+)?)|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_PORT_OF_A_SERVICE = re.compile(rf"{PREFIX}(\w+_)?PORT=(tcp|udp|sctp)://.+")
_OF_PLACES = (PREFIX + "API_KEYS_FILE", PREFIX + "DATA_DIR")
# The error message about a URL must not put the URL's password into the log.
_CREDENTIALS = re.compile(r"//.*@")


class SettingsError(Exception):
    """The environment holds values that cannot be used; `faults` has one line for each value."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


def setting(name: str, default: str, parse: Callable[[str], Any], help_text: str) -> Any:
    """A field of `Settings`, with its name in the environment (without prefix) and its default."""
    return field(metadata={"name": name, "default": default, "parse": parse, "help": help_text})


@dataclass(frozen=True)
class Settings:
    """The whole configuration, checked. Build it with `load_settings`."""

    host: str = setting("HOST", "127.0.0.1", str, "address that the API listens on")
    port: int = setting("PORT", "8000", parse_port, "port that the API listens on; 0: a free port")
    redis_url: str | None = setting(
        "REDIS_URL",
        "",
        parse_redis_url,
        "Redis 7+ or Valkey; unset: an embedded server in DATA_DIR",
    )
    store_memory_bytes: int | None = setting(
        "STORE_MEMORY", "", above_zero(parse_size),
        "memory for the records of jobs; from three quarters of it on the oldest finished jobs are "
        "forgotten; unset: an eighth of the memory limit, at most 256MiB; "
        "with REDIS_URL the server's own limit",
    )  # fmt: skip
    broker_url: str | None = setting(
        "BROKER_URL", "", parse_redis_url,
        "server of the Celery messages, which may lose them; unset: the server of REDIS_URL",
    )  # fmt: skip
    data_dir: Path = setting("DATA_DIR", "./data", parse_path, "broker data, artifacts, workspaces")
    storage_url: str = setting(
        "STORAGE_URL", "", parse_storage_url, "where artifacts live; unset: DATA_DIR/artifacts"
    )
    memory_budget_bytes: int = setting(
        "MEMORY_BUDGET", "", above_zero(parse_size),
        "what all media subprocesses of one worker may use together; "
        "unset: 512MiB, or what the container's memory limit leaves for them if that is less",
    )  # fmt: skip
    worker_concurrency: int = setting(
        "WORKER_CONCURRENCY", "", parse_positive_int,
        "jobs that one worker may run at once; unset: two for each core, at least 4",
    )  # fmt: skip
    queues: tuple[str, ...] = setting(
        "QUEUES", "all", parse_kinds, "kinds of job that a worker serves"
    )
    allowed_networks: tuple[Network, ...] = setting(
        "ALLOWED_NETWORKS",
        "",
        parse_networks,
        "non-public networks that sources and webhooks may be in",
    )
    api_keys_file: Path | None = setting(
        "API_KEYS_FILE",
        "",
        parse_path,
        "hashed API keys, one a line, made by `clipmill keys new`; unset: api-keys in DATA_DIR, "
        "and without that file no key is needed and only this machine is answered",
    )
    rate_limit: int | None = setting(
        "RATE_LIMIT", "100", parse_limit,
        "requests a second that change something, of an API key without limits of its own; 0: none",
    )  # fmt: skip
    allowed_clients: tuple[Network, ...] = setting(
        "ALLOWED_CLIENTS", "", parse_networks,
        "networks of clients that are answered; unset: all",
    )  # fmt: skip
    blocked_clients: tuple[Network, ...] = setting(
        "BLOCKED_CLIENTS", "", parse_networks, "networks of clients that are refused"
    )
    cors_origins: tuple[str, ...] = setting(
        "CORS_ORIGINS", "", parse_origins,
        "origins whose pages may use the API, such as https://app.example.org, or *; unset: none",
    )  # fmt: skip
    trusted_proxies: tuple[Network, ...] = setting(
        "TRUSTED_PROXIES", "", parse_networks,
        "networks of proxies whose X-Forwarded-For names the client; unset: none is believed",
    )  # fmt: skip
    insecure_no_auth: bool = setting(
        "INSECURE_NO_AUTH", "no", parse_flag, "answer without keys on any address (never do this)"
    )
    max_body_bytes: int = setting(
        "MAX_BODY_BYTES", "1MiB", above_zero(parse_size),
        "largest request body; a batch may be eight times as large",
    )  # fmt: skip
    max_upload_bytes: int = setting(
        "MAX_UPLOAD_BYTES", "4GiB", above_zero(parse_size), "largest upload"
    )
    max_download_bytes: int = setting(
        "MAX_DOWNLOAD_BYTES",
        "4GiB",
        above_zero(parse_size),
        "largest file that a download may fetch",
    )
    max_duration_seconds: float = setting(
        "MAX_DURATION_SECONDS",
        "6h",
        above_zero(parse_duration),
        "longest media that a download may fetch",
    )
    max_queued_jobs: int = setting(
        "MAX_QUEUED_JOBS", "20000", parse_positive_int, "jobs that may wait at once"
    )
    max_queued_jobs_per_key: int = setting(
        "MAX_QUEUED_JOBS_PER_KEY", "", parse_positive_int,
        "jobs of one API key that may wait at once; unset: three quarters of MAX_QUEUED_JOBS",
    )  # fmt: skip
    max_transfers: int = setting(
        "MAX_TRANSFERS", "", parse_positive_int,
        "artifacts and archives that the API sends at once; "
        "unset: 51 where there are 512MiB of memory, 400 at most",
    )  # fmt: skip
    client_silence_seconds: float = setting(
        "CLIENT_SILENCE", "120s", above_zero(parse_duration),
        "how long a client may read nothing of an answer before it is disconnected (Linux), "
        "or send nothing of a body (10s at most)",
    )  # fmt: skip
    min_free_disk_bytes: int = setting(
        "MIN_FREE_DISK", "512MiB", parse_size, "free disk space below which no job is started"
    )
    artifact_ttl_seconds: float = setting(
        "ARTIFACT_TTL", "7d", above_zero(parse_duration), "how long an artifact is kept unused"
    )
    reuse_downloads_seconds: float = setting(
        "REUSE_DOWNLOADS_FOR", "24h", parse_duration,
        "how long a download is reused for later requests of its URL; 0s: never",
    )  # fmt: skip
    job_ttl_seconds: float = setting(
        "JOB_TTL", "30d", above_zero(parse_duration), "how long the record of a final job is kept"
    )
    storage_limit_bytes: int | None = setting(
        "STORAGE_LIMIT", "", above_zero(parse_size),
        "largest size of all artifacts together; the longest unused are evicted; unset: no limit",
    )  # fmt: skip
    redis_policy: str = setting(
        "REDIS_POLICY", "warn", one_of("warn", "refuse"),
        "warn or refuse to start when Redis may lose jobs (eviction, no append-only file)",
    )  # fmt: skip
    job_deadline_seconds: float = setting(
        "JOB_DEADLINE", "2h", above_zero(parse_duration), "longest run of one attempt of a job"
    )
    shutdown_grace_seconds: float = setting(
        "SHUTDOWN_GRACE", "20s", parse_duration, "time that running jobs have to end after SIGTERM"
    )
    log_format: str = setting(
        "LOG_FORMAT", "", one_of("json", "text"),
        "form of a log line; unset: text on a terminal, else json",
    )  # fmt: skip
    log_level: str = setting(
        "LOG_LEVEL", "info", one_of("debug", "info", "warning", "error"), "lowest level logged"
    )
    otlp_endpoint: str | None = setting(
        "OTLP_ENDPOINT", "", parse_http_url,
        "OpenTelemetry collector (OTLP over HTTP) that receives traces; unset: no traces",
    )  # fmt: skip

    @property
    def usual_keys_file(self) -> Path:
        """Where keys are kept unless a setting says otherwise."""
        return self.data_dir / DEFAULT_NAME

    @property
    def auth_required(self) -> bool:
        """Whether callers must show a key."""
        return self.api_keys_file is not None and not self.insecure_no_auth

    @property
    def beside_tools_bytes(self) -> int:
        """The memory that is kept free for what runs beside the media tools."""
        return _beside_tools_bytes(self.redis_url)

    @property
    def embedded_store_bytes(self) -> int:
        """What the embedded server may hold."""
        return self.store_memory_bytes or default_store_bytes(memory_limit_bytes())

    def require_budget(self) -> None:
        """For a process that runs media tools. Raises SettingsError for a budget too small."""
        if self.memory_budget_bytes < LEAST_BUDGET_BYTES:
            raise SettingsError([too_little(memory_limit_bytes(), self.beside_tools_bytes)])


def load_settings(
    environ: Mapping[str, str] | None = None, *, kinds: Collection[str] = ()
) -> Settings:
    """The settings of this process. Raises one SettingsError that names all faults.

    A process that runs or accepts jobs passes all `kinds` that exist: QUEUES is checked against
    them, and `all` stands for them. Without `kinds`, QUEUES stays as it was written.
    """
    environ = os.environ if environ is None else environ
    known = {PREFIX + item.metadata["name"]: item for item in fields(Settings)}
    environ = {
        name: value
        for name, value in environ.items()
        if name.startswith(PREFIX) and not _injected(name, value)
    }
    faults = [
        f"{name} is not a setting of Clipmill"
        for name in sorted(environ)
        if name not in known and name not in CLIENT_NAMES
    ]
    values: dict[str, Any] = {}
    for name, item in known.items():
        text = environ.get(name, "").strip()
        try:
            values[item.name] = _value(item, text)
        except ValueError as fault:
            faults.append(f"{name}={_CREDENTIALS.sub('//***@', text)!r} {fault}")
            values[item.name] = _value(item, "")  # the default, so that the next check can run
    settings = Settings(**_with_computed_defaults(values, tuple(kinds)))
    faults += _unknown_kinds(settings, kinds)
    faults += _contradictions(settings, budget_is_set=bool(values["memory_budget_bytes"]))
    if faults:
        raise SettingsError(faults)
    return settings


def keys_path(environ: Mapping[str, str] | None = None) -> Path:
    """The file of API keys, which may not exist yet. Raises SettingsError."""
    settings = _of_places(environ)
    return settings.api_keys_file or settings.usual_keys_file


def data_folder(environ: Mapping[str, str] | None = None) -> Path:
    """The data folder, whatever else is set. Raises SettingsError."""
    return _of_places(environ).data_dir


def _of_places(environ: Mapping[str, str] | None) -> Settings:
    environ = os.environ if environ is None else environ
    return load_settings({name: environ[name] for name in _OF_PLACES if name in environ})


def _injected(name: str, value: str) -> bool:
    """Whether Kubernetes set this for a Service: `tcp://10.0.0.1:8000` is no value of PORT."""
    found = _OF_A_SERVICE.fullmatch(name) or _PORT_OF_A_SERVICE.fullmatch(f"{name}={value}")
    return found is not None


def _value(item: Field[Any], text: str) -> Any:
    text = text or item.metadata["default"]
    return item.metadata["parse"](text) if text else None


def process_environment() -> dict[str, str]:
    """A copy of this process's environment, to build a child's from."""
    return dict(os.environ)


def add_to_environment(values: Mapping[str, str]) -> None:
    """Set what this process's environment does not have yet, for itself and its children."""
    for name, value in values.items():
        os.environ.setdefault(name, value)


def _with_computed_defaults(values: dict[str, Any], kinds: tuple[str, ...]) -> dict[str, Any]:
    data_dir = values["data_dir"].resolve()
    beside = _beside_tools_bytes(values["redis_url"])
    usual_keys = data_dir / DEFAULT_NAME
    keys = values["api_keys_file"] or (usual_keys if usual_keys.exists() else None)
    values = values | {"api_keys_file": keys}
    budget = default_budget_bytes(memory_limit_bytes(), beside)
    return values | {
        "data_dir": data_dir,
        "queues": kinds if kinds and values["queues"] == ALL else values["queues"],
        "broker_url": values["broker_url"] or values["redis_url"],
        "allowed_networks": values["allowed_networks"] or (),
        "trusted_proxies": values["trusted_proxies"] or (),
        "allowed_clients": values["allowed_clients"] or (),
        "blocked_clients": values["blocked_clients"] or (),
        "cors_origins": values["cors_origins"] or (),
        "storage_url": values["storage_url"] or (data_dir / "artifacts").as_uri(),
        "memory_budget_bytes": values["memory_budget_bytes"] or budget,
        "log_format": values["log_format"] or ("text" if sys.stderr.isatty() else "json"),
        "max_queued_jobs_per_key": _most_queued_per_key(values),
        "max_transfers": values["max_transfers"] or default_transfers(memory_limit_bytes()),
        "worker_concurrency": values["worker_concurrency"] or max(4, 2 * cpu_count()),
    }


def _most_queued_per_key(values: Mapping[str, Any]) -> int:
    """What one key may queue. Without keys all clients are one owner, who may use the whole."""
    most: int = values["max_queued_jobs"]
    own: int | None = values["max_queued_jobs_per_key"]
    if own:
        return min(most, own)
    return most if values["api_keys_file"] is None else max(1, most * 3 // 4)


def _beside_tools_bytes(redis_url: str | None) -> int:
    """A worker on its own always has a REDIS_URL. Without a URL the whole stack starts here."""
    return WORKER_BYTES if redis_url else STACK_BYTES


def _unknown_kinds(settings: Settings, kinds: Collection[str]) -> list[str]:
    if not kinds or set(settings.queues) <= set(kinds):
        return []
    written = ",".join(settings.queues)
    return [f"{PREFIX}QUEUES={written!r} is not `all` or a list of {', '.join(kinds)}"]


def _contradictions(settings: Settings, *, budget_is_set: bool) -> list[str]:
    faults = []
    if not is_loopback(settings.host) and not (settings.auth_required or settings.insecure_no_auth):
        faults.append(
            f"{PREFIX}HOST={settings.host!r} is not a loopback address: make a key with "
            f"`clipmill keys new NAME`, or set {PREFIX}INSECURE_NO_AUTH=yes to answer every client"
        )
    if 0 < (settings.store_memory_bytes or 0) < LEAST_STORE_BYTES:
        faults.append(f"{PREFIX}STORE_MEMORY is below 16MiB, which holds too few jobs")
    # A default that is too small matters only to a process that runs tools: `require_budget`.
    if budget_is_set and settings.memory_budget_bytes < LEAST_BUDGET_BYTES:
        faults.append(f"{PREFIX}MEMORY_BUDGET is below 64MiB, which no media tool fits in")
    return faults


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
