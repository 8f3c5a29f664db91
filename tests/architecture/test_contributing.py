"""docs/contributing.md says how to add something; it must stay true."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest

from tasks.kinds import KINDS
from tasks.metrics.catalogue import FAMILIES
from tasks.specs import Output
from tests.architecture.source import ROOT
from web.schemas.parts import OutputSchema
from web.schemas.requests import REQUEST_SCHEMAS

PAGE = (ROOT / "docs" / "contributing.md").read_text()
NAMED = sorted(
    set(re.findall(r"`((?:config|tasks|worker|web|clipmill|tests|docs)/[\w/.]*)`", PAGE))
)


@pytest.mark.parametrize("path", NAMED)
def test_every_file_that_the_page_names_exists(path: str) -> None:
    assert (ROOT / path).exists()


def test_the_page_names_the_files_of_every_kind_of_addition() -> None:
    assert len(NAMED) > 25


def test_an_output_option_is_a_field_of_the_spec_and_of_the_schema() -> None:
    assert {field.name for field in fields(Output)} == {*OutputSchema().fields}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_kind_has_a_row_a_file_and_a_schema(kind: str) -> None:
    assert (ROOT / "worker" / "kinds" / f"{kind.replace('-', '_')}.py").is_file()
    assert (kind in REQUEST_SCHEMAS) is KINDS[kind].asked_for


def test_a_metric_has_a_meaning() -> None:
    assert [name for name, family in FAMILIES.items() if not family.help.endswith(".")] == []
