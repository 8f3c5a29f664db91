"""How big the picture gets."""

from typing import Any

import pytest

from tasks.specs import Output
from tests.unit.worker.clip.values import video
from worker.clip.picture_size import Shape, shape_of

PORTRAIT = {"width": 1080, "height": 1920}


def shape(wanted: dict[str, Any], **source: Any) -> Shape:
    return shape_of(video(**source), Output(**wanted))


def test_nothing_asked_changes_nothing() -> None:
    assert shape({}) == Shape(None, None, None, (1920, 1080))


def test_an_odd_line_is_cut_off_because_half_the_colour_lines_would_be_missing() -> None:
    assert shape({}, width=321, height=181) == Shape((320, 180), None, None, (320, 180))


def test_one_side_asked_gives_the_other() -> None:
    assert shape({"width": 640}).size == (640, 360)
    assert shape({"height": 480}).size == (854, 480)


def test_contain_never_enlarges() -> None:
    assert shape({"width": 3840, "height": 2160}) == Shape(None, None, None, (1920, 1080))


def test_contain_fits_into_the_box() -> None:
    assert shape(PORTRAIT) == Shape(None, (1080, 608), None, (1080, 608))


def test_cover_makes_a_portrait_of_a_landscape_by_cropping() -> None:
    assert shape({**PORTRAIT, "fit": "cover"}) == Shape(
        (608, 1080), (1080, 1920), None, (1080, 1920)
    )


def test_pad_makes_a_portrait_of_a_landscape_with_bars() -> None:
    wanted = {**PORTRAIT, "fit": "pad"}

    assert shape(wanted) == Shape(None, (1080, 608), (1080, 1920), (1080, 1920))


def test_cover_and_pad_enlarge_a_small_picture_to_exactly_the_box() -> None:
    for fit in ("cover", "pad"):
        assert shape({**PORTRAIT, "fit": fit}, width=320, height=180).size == (1080, 1920)


def test_the_picture_is_measured_as_it_is_shown_after_rotation() -> None:
    assert shape({}, rotation=90).size == (1080, 1920)
    assert shape({"width": 540}, rotation=270).size == (540, 960)


def test_pixels_that_are_not_square_become_so_when_resized() -> None:
    dvd = {"width": 720, "height": 576, "sample_aspect_ratio": "64:45"}

    assert shape({}, **dvd).size == (720, 576)
    assert shape({"width": 512}, **dvd).size == (512, 288)
    assert shape({"width": 2000}, **dvd).size == (1024, 576)


@pytest.mark.parametrize("aspect", ["0:1", "1:1"])
def test_an_unknown_aspect_is_square(aspect: str) -> None:
    assert shape({"width": 640}, sample_aspect_ratio=aspect).size == (640, 360)


@pytest.mark.parametrize("fit", ["contain", "cover", "pad"])
@pytest.mark.parametrize("box", [(2, 2), (101, 77), (16384, 2), (3, 4000)])
@pytest.mark.parametrize("source", [(1920, 1080), (1, 1), (16384, 2), (321, 181)])
def test_every_size_is_even_and_inside_the_box(
    fit: str, box: tuple[int, int], source: tuple[int, int]
) -> None:
    found = shape(
        {"width": box[0], "height": box[1], "fit": fit}, width=source[0], height=source[1]
    )

    for side, limit in zip(found.size, box, strict=True):
        assert side % 2 == 0
        assert 2 <= side <= limit
    if fit != "contain":
        assert found.size == tuple(side // 2 * 2 for side in box)
