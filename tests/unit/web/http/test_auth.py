"""Who may come in, with keys and without."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from config.settings import Settings, load_settings
from web.http.api_keys import KeyFile, KeyFileError, parse_keys
from web.http.auth import LOCAL_CALLER, Authenticator
from web.http.errors import Forbidden, MissingCredentials


def line(name: str, scopes: str, key: str) -> str:
    return f"{name}:{scopes}:{sha256(key.encode()).hexdigest()}\n"


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "keys"
    path.write_text(
        "# ours\n\n" + line("reader", "read", "k-read") + line("both", "read,submit", "k-both")
    )
    return path


@pytest.fixture
def keyed(key_file: Path) -> Settings:
    return load_settings({"CLIPMILL_API_KEYS_FILE": str(key_file)})


def asking(path: str = "/api/v2/jobs", method: str = "GET", **headers: str) -> dict[str, Any]:
    names = {f"HTTP_{name.upper()}": value for name, value in headers.items()}
    return {"PATH_INFO": path, "REQUEST_METHOD": method, "HTTP_HOST": "127.0.0.1:8000", **names}


def test_without_keys_this_machine_is_one_caller_who_sees_all() -> None:
    caller = Authenticator(load_settings({})).authenticate(asking())
    assert caller is LOCAL_CALLER
    assert (caller.name, caller.owner) == ("local", None)


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8000", "127.0.0.1", "127.8.9.1:1", "[::1]:8000", "localhost."]
)
def test_without_keys_loopback_names_are_answered(host: str) -> None:
    assert Authenticator(load_settings({})).authenticate(asking(host=host))


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8000", "10.0.0.1", "",
        "[", "0.0.0.0", "a@127.0.0.1@b",
    ],
)  # fmt: skip
def test_without_keys_another_name_in_host_is_refused(host: str) -> None:
    with pytest.raises(Forbidden):
        Authenticator(load_settings({})).authenticate(asking(host=host))


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:9999", "http://localhost:8000"]
)
def test_without_keys_a_page_of_another_origin_changes_nothing(origin: str) -> None:
    authenticator = Authenticator(load_settings({}))
    with pytest.raises(Forbidden):
        authenticator.authenticate(asking(method="POST", origin=origin))
    assert authenticator.authenticate(asking(method="POST", origin="http://127.0.0.1:8000"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HTTP_FORWARDED", "for=203.0.113.9"), ("HTTP_X_FORWARDED_FOR", "203.0.113.9"),
        ("HTTP_X_FORWARDED_PROTO", "https"), ("HTTP_VIA", "1.1 edge"),
        ("HTTP_X_REAL_IP", "203.0.113.9"), ("REMOTE_ADDR", "203.0.113.9"),
        ("SERVER_PROTOCOL", "HTTP/1.0"),
    ],
)  # fmt: skip
def test_without_keys_a_proxy_is_refused_and_told_of_keys(
    keyed: Settings, name: str, value: str
) -> None:
    through = asking() | {name: value}
    with pytest.raises(Forbidden, match="clipmill keys new"):
        Authenticator(load_settings({})).authenticate(through)
    key = {"HTTP_X_API_KEY": "k-both", "HTTP_HOST": "clips.example.org"}
    assert Authenticator(keyed).authenticate(through | key).name == "both"


def test_when_told_to_answer_everyone_any_name_is_answered() -> None:
    authenticator = Authenticator(
        load_settings({"CLIPMILL_HOST": "0.0.0.0", "CLIPMILL_INSECURE_NO_AUTH": "yes"})
    )
    assert authenticator.authenticate(asking(host="media.example"))


def test_a_key_is_taken_from_either_header_and_names_the_owner(keyed: Settings) -> None:
    authenticator = Authenticator(keyed)
    assert authenticator.authenticate(asking(x_api_key="k-both")).owner == "both"
    assert authenticator.authenticate(asking(authorization="Bearer k-both")).owner == "both"
    assert (
        authenticator.authenticate(
            asking(authorization="bearer  k-both ", host="any.example")
        ).owner
        == "both"
    )


@pytest.mark.parametrize(
    "headers",
    [
        {}, {"x_api_key": "wrong"}, {"authorization": "Basic k-both"}, {"authorization": "Bearer"},
        {"x_api_key": "k-both\udc80"},
    ],
)  # fmt: skip
def test_without_a_known_key_nobody_comes_in(keyed: Settings, headers: dict[str, str]) -> None:
    with pytest.raises(MissingCredentials):
        Authenticator(keyed).authenticate(asking(**headers))


def test_reading_does_not_allow_submitting(keyed: Settings) -> None:
    authenticator = Authenticator(keyed)
    assert authenticator.authenticate(asking(x_api_key="k-read"))
    for method in ("POST", "DELETE", "PUT", "PATCH", "ODD"):
        with pytest.raises(Forbidden):
            authenticator.authenticate(asking(method=method, x_api_key="k-read"))


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/livez",
        "/readyz",
        "/health",
        "/api/v2/system/health",
        "/docs",
        "/docs/x.js",
    ],
)
def test_probes_and_descriptions_need_no_key(keyed: Settings, path: str) -> None:
    assert Authenticator(keyed).authenticate(asking(path))


def test_metrics_need_a_key_as_soon_as_there_are_keys(keyed: Settings) -> None:
    assert Authenticator(load_settings({})).authenticate(asking("/metrics"))
    authenticator = Authenticator(keyed)
    assert authenticator.authenticate(asking("/metrics", x_api_key="k-read"))
    with pytest.raises(MissingCredentials):
        authenticator.authenticate(asking("/metrics"))


def test_admin_sees_all_but_owns_what_it_submits(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text(line("boss", "admin", "k-admin"))
    authenticator = Authenticator(load_settings({"CLIPMILL_API_KEYS_FILE": str(path)}))
    caller = authenticator.authenticate(asking(method="POST", x_api_key="k-admin"))
    assert (caller.name, caller.owner) == ("boss", None)


def test_a_key_struck_out_or_added_counts_from_the_next_request_on(key_file: Path) -> None:
    keys = KeyFile(key_file)
    assert keys.find("k-read")
    rewrite(key_file, line("new", "read", "k-new"))
    assert keys.find("k-read") is None
    assert keys.find("k-new")


def test_half_an_edit_keeps_the_last_good_keys(key_file: Path) -> None:
    keys = KeyFile(key_file)
    rewrite(key_file, "both:read,sub")
    assert keys.find("k-both")


def test_a_removed_file_shuts_everybody_out_until_it_is_back(key_file: Path) -> None:
    keys = KeyFile(key_file)
    text = key_file.read_text()
    key_file.unlink()
    assert keys.find("k-both") is None
    key_file.write_text(text)
    assert keys.find("k-both")


def rewrite(path: Path, text: str) -> None:
    new = path.with_suffix(".new")
    new.write_text(text)
    os.utime(new, ns=(1, 1))
    new.replace(path)


@pytest.mark.parametrize(
    "text",
    [
        "name:read", "a b:read:" + "0" * 64, "local:read:" + "0" * 64, "a:write:" + "0" * 64,
        "a::" + "0" * 64, "a:read:" + "0" * 63, "a:read:" + "G" * 64,
        "a:read:" + "0" * 64 + "\na:read:" + "1" * 64,
    ],
)  # fmt: skip
def test_a_key_file_with_a_fault_is_refused_without_quoting_it(text: str) -> None:
    with pytest.raises(KeyFileError) as caught:
        parse_keys(text)
    assert "0" * 32 not in str(caught.value)
