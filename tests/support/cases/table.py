"""All cases by their names."""

from __future__ import annotations

from tests.support.cases.by_hand import cases_by_hand
from tests.support.cases.recipes import cases

CASES = {case.name: case for case in (*cases(), *cases_by_hand())}
