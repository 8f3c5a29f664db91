"""What a client may say of a job, and how each fault is named."""

from __future__ import annotations

import math
from typing import Any

import pytest
from marshmallow import ValidationError

from tasks.dispatch import JobRequest
from tasks.kinds import ClipSpec, DownloadSpec, ExtractSpec
from tasks.specs import Output, Source
from web.schemas.batches import BatchRequestSchema
from web.schemas.faults import invalid
from web.schemas.requests import JobRequestSchema

URL = "https://example.org/video"
CLIP = {"kind": "clip", "source": {"url": URL}, "start": 1, "end": 2}


def load(body: Any) -> JobRequest:
    request: JobRequest = JobRequestSchema().load(body)
    return request


def faults(body: Any, schema: Any = JobRequestSchema) -> dict[str, str]:
    with pytest.raises(ValidationError) as caught:
        schema().load(body)
    return {fault.pointer: fault.detail for fault in invalid(caught.value).faults}


def test_each_kind_becomes_its_spec_with_the_defaults_of_the_spec() -> None:
    assert load({"kind": "extract", "source": {"url": URL}}).spec == ExtractSpec(Source(url=URL))
    assert load({"kind": "download", "source": {"url": URL}}).spec == DownloadSpec(Source(url=URL))
    assert load(CLIP).spec == ClipSpec(Source(url=URL), 1.0, 2.0)


def test_everything_that_may_be_said_of_a_clip_arrives_in_its_spec() -> None:
    output = {
        "container": "webm", "width": 640, "height": 360, "fit": "pad", "fps": 29.97,
        "quality": "high", "audio": "drop", "thumbnail": True, "filename": "my clip.webm",
    }  # fmt: skip
    request = load(
        {
            **CLIP, "source": {"job_id": "abc"}, "mode": "encode", "output": output,
            "priority": 9, "external_id": "mine", "metadata": {"a": "b"},
        }
    )  # fmt: skip
    assert request == JobRequest(
        ClipSpec(Source(job_id="abc"), 1.0, 2.0, "encode", Output(**output)),
        priority=9,
        external_id="mine",
        metadata={"a": "b"},
    )


@pytest.mark.parametrize(
    ("start", "end", "seconds"),
    [
        (0, 15, (0.0, 15.0)),
        (12.5, 27.5, (12.5, 27.5)),
        ("00:00:12.500", "00:01:00", (12.5, 60.0)),
        ("01:02:03", "100:00:00", (3723.0, 360000.0)),
        ("5", "90s", (5.0, 90.0)),
        ("12.5 s", "1:05", (12.5, 65.0)),
        ("1:02:03.5", "90:00", (3723.5, 5400.0)),
    ],
)
def test_a_time_is_seconds_or_a_clock(start: Any, end: Any, seconds: tuple[float, float]) -> None:
    spec = load({**CLIP, "start": start, "end": end}).spec
    assert isinstance(spec, ClipSpec)
    assert (spec.start, spec.end) == seconds


@pytest.mark.parametrize(
    "time",
    [
        math.nan, math.inf, -math.inf, 1e309, -1, -0.001, 10**400, 1e9, True, None, "1:2:3",
        "00:61:00", "00:00:60", "00:00:61", "-00:00:01", "00:00:0\u0661", "00:00:01\n", "", [], {},
        "1:5", "1e3", "90m", "s", "90 s ", "-5", "+5", "\u0665", "1:02:03:04", "99999999",
        "inf", "1,5", " 5",
    ],
)  # fmt: skip
def test_what_is_no_time_is_refused_at_its_field(time: Any) -> None:
    assert "/start" in faults({**CLIP, "start": time})


def test_without_an_end_a_clip_goes_to_the_end_of_the_media() -> None:
    spec = load({"kind": "clip", "source": {"url": URL}, "start": "1:05"}).spec
    assert spec == ClipSpec(Source(url=URL), 65.0, None)


def test_a_duration_may_stand_in_for_the_end() -> None:
    spec = load({"kind": "clip", "source": {"url": URL}, "start": 0.1, "duration": 0.2}).spec
    assert isinstance(spec, ClipSpec)
    assert spec.end == 0.3


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"start": 2, "end": 2}, "/end"),
        ({"start": 3, "end": 2}, "/end"),
        ({"duration": 1}, "/end"),
        ({"end": ..., "duration": 0}, "/duration"),
        ({"end": ..., "duration": 1e-9}, "/duration"),
        ({"end": ..., "duration": 0.0009}, "/duration"),
        ({"start": 1e-12, "end": 2e-12}, "/end"),
        ({"start": 0, "end": 5e-324}, "/end"),
        ({"start": 1, "end": "00:00:01.0005"}, "/end"),
        ({"start": ...}, "/start"),
        ({"mode": "copy", "output": {"width": 640}}, "/mode"),
        ({"mode": "copy", "output": {"container": "gif"}}, "/mode"),
        ({"output": {"container": "mp3", "width": 640}}, "/output/width"),
    ],
)
def test_a_range_or_mode_that_contradicts_itself_is_refused(
    change: dict[str, Any], pointer: str
) -> None:
    body = {name: value for name, value in {**CLIP, **change}.items() if value is not ...}
    assert list(faults(body)) == [pointer]


@pytest.mark.parametrize(
    ("quality", "container"), [("best", "mp3"), ("audio", "mp4"), (None, "flac"), ("720p", "gif")]
)
def test_a_container_of_sound_goes_with_sound_alone(quality: str | None, container: str) -> None:
    body = {"kind": "download", "source": {"url": URL}, "container": container}
    assert list(faults(body | ({"quality": quality} if quality else {}))) == ["/container"]


@pytest.mark.parametrize("container", ["m4a", "mp3", "opus", "flac", "wav"])
def test_sound_alone_may_have_any_container_of_sound(container: str) -> None:
    spec = load(
        {"kind": "download", "source": {"url": URL}, "quality": "audio", "container": container}
    ).spec
    assert spec == DownloadSpec(Source(url=URL), "audio", container)


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"strat": 1}, "/strat"),
        ({"a/b~c": 1}, "/a~1b~0c"),
        ({"source": {"url": URL, "cookies": "x"}}, "/source/cookies"),
        ({"output": {"vf": "movie=/etc/passwd"}}, "/output/vf"),
        ({"quality": "best"}, "/quality"),  # a field of another kind
        ({"playlist_items": 1}, "/playlist_items"),
    ],
)
def test_an_unknown_field_is_refused_by_name(change: dict[str, Any], pointer: str) -> None:
    assert faults({**CLIP, **change}) == {pointer: "unknown field"}


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"priority": True}, "/priority"),
        ({"priority": 5.0}, "/priority"),
        ({"priority": "5"}, "/priority"),
        ({"priority": 10}, "/priority"),
        ({"priority": -1}, "/priority"),
        ({"external_id": 5}, "/external_id"),
        ({"external_id": "x" * 129}, "/external_id"),
        ({"external_id": "a\x00b"}, "/external_id"),
        ({"metadata": {"a": 1}}, "/metadata/a"),
        ({"metadata": {"a": {"b": "c"}}}, "/metadata/a"),
        ({"metadata": {str(number): "x" for number in range(17)}}, "/metadata"),
        ({"metadata": []}, "/metadata"),
        ({"output": {"width": 640.0}}, "/output/width"),
        ({"output": {"width": 15}}, "/output/width"),
        ({"output": {"height": 100_000}}, "/output/height"),
        ({"output": {"fps": 0}}, "/output/fps"),
        ({"output": {"fps": math.nan}}, "/output/fps"),
        ({"output": {"thumbnail": 1}}, "/output/thumbnail"),
        ({"output": []}, "/output"),
        ({"source": {}}, "/source"),
        ({"source": {"url": URL, "job_id": "x"}}, "/source"),
        ({"source": {"url": None}}, "/source/url"),
        ({"source": {"url": "https://e.org/" + "x" * 5000}}, "/source/url"),
        ({"source": URL}, "/source"),
    ],
)
def test_a_value_of_the_wrong_type_or_size_is_refused(change: dict[str, Any], pointer: str) -> None:
    assert list(faults({**CLIP, **change})) == [pointer]


@pytest.mark.parametrize(
    "word", ['mp4"; rm -rf /', "-vf movie=/etc/passwd", "%(exec)s", "mp4\n", "mp4\0", "MP4", ""]
)
@pytest.mark.parametrize("field", ["container", "quality", "fit", "audio"])
def test_a_word_that_is_not_on_the_list_never_gets_further(field: str, word: str) -> None:
    assert f"/output/{field}" in faults({**CLIP, "output": {field: word}})


@pytest.mark.parametrize("kind", ["extract", "download"])
def test_only_a_clip_takes_another_job_as_its_source(kind: str) -> None:
    assert "/source/job_id" in faults({"kind": kind, "source": {"job_id": "x"}})


@pytest.mark.parametrize("body", [[], "x", 1, None, True])
def test_a_body_that_is_no_object_is_refused_as_a_whole(body: Any) -> None:
    assert faults(body) == {"": "must be an object"}


@pytest.mark.parametrize("kind", [None, "", "Clip", "upload", 5, [], {}])
def test_an_unknown_kind_is_refused(kind: Any) -> None:
    assert list(faults({**CLIP, "kind": kind})) == ["/kind"]


def test_defaults_lie_under_each_job_and_source_and_output_are_taken_whole() -> None:
    requests = BatchRequestSchema().load(
        {
            "defaults": {**CLIP, "output": {"width": 640, "fit": "cover"}},
            "jobs": [
                {"start": 0},
                {"end": 9, "output": {"height": 360}},
                {"source": {"job_id": "x"}},
            ],
        }
    )
    first, second, third = (request.spec for request in requests)
    assert (first.start, first.end, first.output) == (0.0, 2.0, Output(width=640, fit="cover"))
    assert (second.end, second.output) == (9.0, Output(height=360))
    assert third.source == Source(job_id="x")


def test_a_job_that_says_how_long_it_is_does_not_inherit_an_end() -> None:
    (request,) = BatchRequestSchema().load({"defaults": CLIP, "jobs": [{"duration": 5}]})
    assert request.spec.end == 6.0


def test_every_fault_of_a_batch_names_the_index_of_its_job() -> None:
    body = {"defaults": CLIP, "jobs": [{}, {"end": 0}, 7, {"start": "x", "oops": 1}]}
    assert list(faults(body, BatchRequestSchema)) == [
        "/jobs/1/end", "/jobs/2", "/jobs/3/start", "/jobs/3/oops",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/jobs"),
        ({"jobs": []}, "/jobs"),
        ({"jobs": {}}, "/jobs"),
        ({"jobs": [CLIP] * 1001}, "/jobs"),
        ({"jobs": [CLIP], "defaults": []}, "/defaults"),
        ({"jobs": [CLIP], "default": {}}, "/default"),
        ([CLIP], ""),
    ],
)
def test_a_batch_that_is_none_is_refused(body: Any, pointer: str) -> None:
    assert list(faults(body, BatchRequestSchema)) == [pointer]


def test_a_batch_may_hold_a_thousand_jobs() -> None:
    assert len(BatchRequestSchema().load({"defaults": CLIP, "jobs": [{}] * 1000})) == 1000
