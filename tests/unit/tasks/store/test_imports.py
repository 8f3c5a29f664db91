"""What is hidden is not found, and is there again afterwards."""

from __future__ import annotations

import importlib
import sys

import pytest

from tasks.store.imports import hidden


def test_a_hidden_module_is_not_installed_inside_the_block_only() -> None:
    json = importlib.import_module("json")
    with hidden("json"), pytest.raises(ImportError):
        importlib.import_module("json")
    assert importlib.import_module("json") is json


def test_what_was_never_loaded_can_be_loaded_afterwards() -> None:
    sys.modules.pop("colorsys", None)
    with hidden("colorsys"), pytest.raises(ImportError):
        importlib.import_module("colorsys")
    assert importlib.import_module("colorsys").rgb_to_hsv
