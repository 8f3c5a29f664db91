"""Every kind of job has its row, and those who need to know of all kinds read the rows."""

from __future__ import annotations

from dataclasses import fields

from tasks.dispatch.broker import make_celery, queue_name
from tasks.kinds import KINDS
from tasks.metrics.catalogue import FAMILIES
from web.schemas.requests import REQUEST_SCHEMAS


def test_a_kind_is_known_by_the_name_of_its_spec() -> None:
    assert {name: kind.spec_type.kind for name, kind in KINDS.items()} == {n: n for n in KINDS}
    assert list(KINDS) == [
        "extract",
        "download",
        "clip",
        "upload",
    ]  # the order in which clients see them


def test_a_client_can_ask_for_each_kind() -> None:
    assert list(REQUEST_SCHEMAS) == [name for name, kind in KINDS.items() if kind.asked_for]
    for name, schema in REQUEST_SCHEMAS.items():
        asked = {item.name for item in fields(KINDS[name].spec_type)}
        assert asked <= set(schema.fields)


def test_the_metrics_have_a_row_for_each_kind() -> None:
    assert FAMILIES["jobs_total"].labels["kind"] == tuple(KINDS)
    assert FAMILIES["cache_hits_total"].labels["cache"] == ("download", "clip", "upload")


def test_a_message_that_names_no_queue_goes_to_one_that_is_served() -> None:
    default = make_celery("redis://localhost/0").conf.task_default_queue
    assert default in map(queue_name, KINDS)
