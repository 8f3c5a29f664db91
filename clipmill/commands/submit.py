"""`clipmill submit`: one job of each kind, or a batch from a file."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import click

from clipmill.terminal.follow import finish_batch, finish_job
from clipmill.terminal.sending import send_file
from clipmill.terminal.session import Session, api_command, given

OUTPUT_FIELDS = (
    "container", "width", "height", "fit", "fps", "quality", "audio", "audio_track", "subtitles",
    "thumbnail",
)  # fmt: skip


def _track(text: str) -> int | str:
    """A sound track by its number or its language."""
    return int(text) if text.isdecimal() else text


class ClipRange(click.ParamType[dict[str, Any]]):
    """A range of a video: `1:00-1:15`, `60+15`, or `1:00-` to the end."""

    name = "range"
    _FORM = re.compile(r"(?P<start>[^-+]+)(?:-(?P<end>[^-+]*)|\+(?P<duration>[^-+]+))")

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> dict[str, Any]:
        """The fields of a clip; the API checks the times."""
        match = self._FORM.fullmatch(value.replace(" ", ""))
        if match is None:
            self.fail(f"{value!r} is not a range such as 1:00-1:15, 60+15 or 1:00-", param, ctx)
        return {name: _time(text) for name, text in match.groupdict().items() if text}


class Submissions(click.Group):
    """The kinds of submission; what is none of their names is a source with `--clip`s."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """`clipmill submit film.mp4 --clip 1:00-1:15` stands for `submit clips film.mp4 …`."""
        if args and args[0] not in self.commands and "--clip" in args:
            args = ["clips", *args]
        return super().resolve_command(ctx, args)


@click.group(cls=Submissions)
def submit() -> None:
    """Queue work: extract, download, clip, or a batch of them.

    A SOURCE is a URL, `job:ID` of an earlier download, `upload:ID`, or a file of this machine,
    which is sent first. The id of the new job is printed; with --wait the command waits until the
    job is done, and with -o FOLDER its files are fetched.

    Several clips of one source, in one line:

        clipmill submit film.mp4 --clip 1:00-1:15 --clip 2:10+10 --wait -o clips
    """


def common_options(function: Callable[..., None]) -> Callable[..., None]:
    """The options of a job of any kind."""
    for option in (
        click.option("--wait", is_flag=True, help="Show progress until the job is done."),
        click.option(
            "-o",
            "--output",
            "folder",
            type=click.Path(path_type=Path, file_okay=False),
            help="Wait, and fetch the files into this folder.",
        ),
        click.option("--priority", type=click.IntRange(0, 9), help="9 goes first; default 5."),
        click.option("--external-id", help="An id of your own, to find the job by."),
        click.option("--metadata", multiple=True, metavar="NAME=VALUE", help="A note; repeatable."),
    ):
        function = option(function)
    return function


@submit.command()
@click.argument("source")
@click.option("--playlist-items", type=int, help="How many entries of a playlist to list.")
@common_options
@api_command
def extract(session: Session, source: str, **options: Any) -> None:
    """Read the metadata of a page's video: title, length, formats."""
    _submit_one(session, "extract", source, options)


@submit.command()
@click.argument("source")
@click.option("--quality", help="best, 2160p … 360p, worst or audio.")
@click.option("--container", help="The format of the file, such as mp4.")
@common_options
@api_command
def download(session: Session, source: str, **options: Any) -> None:
    """Fetch the video behind a page as one file."""
    _submit_one(session, "download", source, options)


def clip_options(function: Callable[..., None]) -> Callable[..., None]:
    """How a clip shall be cut and look."""
    for option in reversed((
        click.option(
            "--mode", type=click.Choice(["auto", "copy", "smart", "encode"]),
            help="auto: the cheapest mode that is exact to the frame.",
        ),
        click.option("--container", help="mp4, mkv, webm, gif, m4a or mp3."),
        click.option("--width", type=int),
        click.option("--height", type=int),
        click.option("--fit", type=click.Choice(["contain", "cover", "pad"])),
        click.option("--fps", type=float),
        click.option("--quality", type=click.Choice(["draft", "standard", "high"])),
        click.option("--audio", type=click.Choice(["keep", "drop"])),
        click.option("--audio-track", type=_track, help="A number from 0, a language, or all."),
        click.option("--subtitles", type=click.Choice(["keep", "drop", "burn"])),
        click.option("--thumbnail", is_flag=True, default=None, help="Make a thumbnail as well."),
    )):  # fmt: skip
        function = option(function)
    return function


@submit.command()
@click.argument("source")
@click.option("--start", required=True, help="Seconds, or HH:MM:SS.mmm.")
@click.option("--end", help="Where the clip ends; or give --duration.")
@click.option("--duration", help="How long the clip is.")
@clip_options
@common_options
@api_command
def clip(session: Session, source: str, **options: Any) -> None:
    """Keep one range of a video."""
    output = given({name: options.pop(name) for name in OUTPUT_FIELDS})
    times = {name: _time(options.pop(name)) for name in ("start", "end", "duration")}
    _submit_one(session, "clip", source, options | times | {"output": output or None})


@submit.command()
@click.argument("source")
@click.option(
    "--clip", "ranges", multiple=True, required=True, type=ClipRange(),
    help="A range to keep; repeatable. A-B, A+LENGTH, or A- to the end.",
)  # fmt: skip
@clip_options
@common_options
@api_command
def clips(session: Session, source: str, ranges: Sequence[dict[str, Any]], **options: Any) -> None:
    """Keep several ranges of one video, together: all are accepted, or none."""
    wait, folder = options.pop("wait"), options.pop("folder")
    output = given({name: options.pop(name) for name in OUTPUT_FIELDS})
    metadata = dict(_pair(text) for text in options.pop("metadata"))
    fields = given(options | {"output": output or None, "metadata": metadata or None})
    source_of = _source_of(session, "clip", source)
    made = session.client.submit_batch(ranges, {"kind": "clip", "source": source_of, **fields})
    if wait or folder:
        finish_batch(session, made.id, folder)
    else:
        session.print(made.id, made.document)


@submit.command()
@click.argument("file", type=click.File())
@click.option("--wait", is_flag=True, help="Show progress until all jobs are done.")
@click.option(
    "-o", "--output", "folder", type=click.Path(path_type=Path, file_okay=False),
    help="Wait, and fetch the files into this folder.",
)  # fmt: skip
@api_command
def batch(session: Session, file: Any, wait: bool, folder: Path | None) -> None:
    """Queue the jobs of a JSON FILE (- reads standard input) together, all or none.

    The file holds {"defaults": {…}, "jobs": [{…}, …]}, or the list of jobs alone.
    """
    try:
        document = json.load(file)
    except ValueError as error:
        raise click.ClickException(f"{file.name} is not JSON: {error}") from error
    if isinstance(document, list):
        document = {"jobs": document}
    if not isinstance(document, dict) or not isinstance(document.get("jobs"), list):
        raise click.ClickException(f"{file.name} holds no list of jobs")
    made = session.client.submit_batch(document["jobs"], document.get("defaults"))
    if wait or folder:
        finish_batch(session, made.id, folder)
    else:
        session.print(made.id, made.document)


def _submit_one(session: Session, kind: str, source: str, options: dict[str, Any]) -> None:
    wait, folder = options.pop("wait"), options.pop("folder")
    metadata = dict(_pair(text) for text in options.pop("metadata"))
    fields = given(options | {"metadata": metadata or None})
    job = session.client.submit(kind, _source_of(session, kind, source), **fields)
    if wait or folder:
        finish_job(session, job.id, folder)
    else:
        session.print(job.id, job.document)


def _source_of(session: Session, kind: str, text: str) -> Mapping[str, str]:
    source = resolve_source(text)
    if isinstance(source, Path):
        if kind != "clip":
            raise click.BadParameter(
                f"{kind} reads a web page; a file of this machine can be clipped",
                param_hint="SOURCE",
            )
        return send_file(session, source)
    return source


def resolve_source(text: str) -> Mapping[str, str] | Path:
    """The `source` of a request, or a file of this machine. Raises BadParameter."""
    for prefix, name in (("job:", "job_id"), ("upload:", "upload_id")):
        if text.startswith(prefix):
            return {name: text.removeprefix(prefix)}
    if "://" in text and not text.lower().startswith("file:"):
        return {"url": text}
    path = Path(unquote(urlsplit(text).path)) if "://" in text else Path(text)
    if not path.is_file():
        raise click.BadParameter(
            f"{text!r} is no URL, no job:ID, no upload:ID and no file that is here",
            param_hint="SOURCE",
        )
    return path


def _time(text: str | None) -> float | str | None:
    """A number if the text is one; other forms go to the API as they are."""
    try:
        return None if text is None else float(text)
    except ValueError:
        return text


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise click.BadParameter(f"{text!r} is not NAME=VALUE", param_hint="--metadata")
    return name, value
