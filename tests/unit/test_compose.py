"""docker-compose.yml says what the code understands, and keeps the promises of its comments."""

from __future__ import annotations

import re
from importlib.metadata import requires
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

from config import settings as settings_module
from config.settings import PREFIX, Settings, load_settings
from config.values import MIB, parse_duration, parse_size

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = ["api", "keys", "worker"]
# Measured: a worker that waits, and what the health check adds for a moment.
WORKER_BYTES, HEALTH_BYTES = 41_000_000, 22_000_000


def settings_of(name: str) -> Settings:
    return load_settings(SERVICES[name]["environment"])


def test_api_and_worker_start_with_the_settings_they_are_given() -> None:
    assert settings_of("api").redis_url == settings_of("worker").redis_url
    assert settings_of("api").storage_url == settings_of("worker").storage_url


@pytest.mark.parametrize("name", ["api", "worker"])
def test_every_word_of_ours_in_the_environment_is_text_and_ours(name: str) -> None:
    # YAML's own yes, no and numbers would reach the container in another spelling.
    environment = SERVICES[name]["environment"]
    assert all(isinstance(value, str) for value in environment.values())
    assert all(key.startswith(PREFIX) for key in environment)


def test_an_address_that_others_reach_wants_keys() -> None:
    settings = settings_of("api")
    assert settings.host == "0.0.0.0"  # inside the container
    assert settings.auth_required


def test_the_keys_are_made_where_the_api_looks() -> None:
    path = SERVICES["keys"]["environment"]["CLIPMILL_API_KEYS_FILE"]
    assert path == str(settings_of("api").api_keys_file)
    assert SERVICES["keys"]["command"][-1] == path
    assert "keys:/keys" in SERVICES["keys"]["volumes"]
    assert "keys:/keys:ro" in SERVICES["api"]["volumes"]
    assert not any(mount.startswith("keys:") for mount in SERVICES["worker"]["volumes"])


def test_no_port_is_open_to_other_machines() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_the_worker_takes_what_its_container_leaves_it(monkeypatch: pytest.MonkeyPatch) -> None:
    service = SERVICES["worker"]
    limit = parse_size(service["mem_limit"])
    assert limit == parse_size(service["memswap_limit"]) == 512 * MIB
    monkeypatch.setattr(settings_module, "memory_limit_bytes", lambda: limit)
    settings = settings_of("worker")
    settings.require_budget()
    assert settings.memory_budget_bytes == 388 * MIB  # as the comment says
    # Files in the container's /tmp count as memory, and are no tool's.
    in_memory = parse_size(re.search(r"size=(\w+)", service["tmpfs"][0])[1])
    assert settings.memory_budget_bytes + WORKER_BYTES + HEALTH_BYTES + in_memory <= limit


def test_containers_wait_longer_than_what_runs_in_them() -> None:
    stop_seconds = parse_duration(SERVICES["worker"]["stop_grace_period"])
    assert stop_seconds >= settings_of("worker").shutdown_grace_seconds + 10


def test_workspaces_are_not_shared_among_workers() -> None:
    folder = settings_of("worker").data_dir / "work"
    assert str(folder) in SERVICES["worker"]["volumes"]


def test_images_are_pinned_by_a_tag_that_means_one_thing() -> None:
    for service in SERVICES.values():
        _, _, tag = service["image"].rpartition(":")
        assert tag
        assert tag != "latest"


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_container_has_nothing_to_gain_and_little_to_write(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service.get("privileged")


@pytest.mark.parametrize("name", sorted(set(SERVICES) - {"keys"}))
def test_what_stays_up_is_watched_and_started_again(name: str) -> None:
    assert SERVICES[name]["restart"] == "unless-stopped"
    assert SERVICES[name]["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}


def test_volumes_and_networks_that_are_used_are_declared() -> None:
    for service in SERVICES.values():
        assert set(service.get("networks", [])) <= set(COMPOSE["networks"])
        for mount in service.get("volumes", []):
            source = mount.partition(":")[0]
            assert source.startswith(("/", "./")) or source in COMPOSE["volumes"]


def test_redis_keeps_everything_and_evicts_nothing() -> None:
    command = SERVICES["redis"]["command"]
    options = dict(zip(command[1::2], command[2::2], strict=True))
    assert options["--appendonly"] == "yes"
    assert options["--maxmemory-policy"] == "noeviction"
    # While the file is rewritten, memory may double.
    limit = parse_size(SERVICES["redis"]["mem_limit"])
    assert 2 * parse_size(options["--maxmemory"]) <= limit


def test_prometheus_asks_the_api_with_the_key_that_is_mounted() -> None:
    jobs = yaml.safe_load((ROOT / "config/prometheus.yml").read_text())["scrape_configs"]
    job = next(job for job in jobs if job["job_name"] == "clipmill")
    assert job["static_configs"] == [{"targets": [f"api:{settings_of('api').port}"]}]
    assert job["authorization"]["credentials_file"].startswith("/keys/")
    assert "keys:/keys:ro" in SERVICES["prometheus"]["volumes"]


def test_the_image_runs_as_nobody_in_particular_and_holds_no_secret() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    assert [line for line in lines if line.startswith("USER")] == ["USER 10001:10001"]
    assert (ROOT / ".dockerignore").read_text().splitlines()[1] == "*"


@pytest.mark.parametrize("name", OURS)
def test_our_services_run_one_and_the_same_image(name: str) -> None:
    assert SERVICES[name]["image"] == "clipmill:local"
    assert SERVICES[name]["build"] == "."


def needed_to_build(name: str) -> set[str]:
    """The package and all that it needs on the Python that runs this."""
    wanted = [Requirement(text) for text in requires(name) or []]
    direct = {need.name for need in wanted if need.marker is None or need.marker.evaluate()}
    return {name}.union(*map(needed_to_build, direct))


def test_the_image_takes_all_that_builds_the_wheel_from_the_lock() -> None:
    named = re.search(r"wanted = /\^\(([a-z|-]+)\)==/", (ROOT / "Dockerfile").read_text())
    assert named is not None
    assert set(named[1].split("|")) == needed_to_build("hatchling")


def test_what_monitoring_reads_is_mounted_where_it_looks() -> None:
    mounts = dict(
        mount.split(":")[:2]
        for name in ("prometheus", "grafana")
        for mount in SERVICES[name]["volumes"]
        if mount.startswith("./")
    )
    for source in mounts:
        assert (ROOT / source).exists()
    scrape = yaml.safe_load((ROOT / "config/prometheus.yml").read_text())
    folder = Path(mounts["./config/prometheus.yml"]).parent
    assert [str(folder / rules) for rules in scrape["rule_files"]] == [
        mounts["./config/alerts.yml"]
    ]
    provisioning = ROOT / "config/grafana/provisioning"
    (provider,) = yaml.safe_load((provisioning / "dashboards/clipmill.yml").read_text())[
        "providers"
    ]
    dashboard = mounts["./config/grafana/dashboard.json"]
    assert provider["options"]["path"] == str(Path(dashboard).parent)
    environment = SERVICES["grafana"]["environment"]
    assert environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"] == dashboard
    (source,) = yaml.safe_load((provisioning / "datasources/prometheus.yml").read_text())[
        "datasources"
    ]
    assert source["url"] == "http://prometheus:9090"
    assert source["jsonData"]["timeInterval"] == scrape["global"]["scrape_interval"]
