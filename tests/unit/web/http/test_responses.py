"""Ready JSON texts put together without parsing them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from web.http.responses import join_json


@pytest.mark.parametrize("before", [{}, {"a": 1}, {"a": {"b": "}"}}])
@pytest.mark.parametrize("after", [{}, {"z": None}])
@pytest.mark.parametrize("items", [[], [1], [{"x": "ä"}, [2]]])
def test_the_parts_make_one_valid_object(
    before: dict[str, Any], after: dict[str, Any], items: list[Any]
) -> None:
    ready = [json.dumps(item).encode() for item in items]
    assert json.loads(join_json(before, "items", ready, after)) == {
        **before, "items": items, **after,
    }  # fmt: skip
