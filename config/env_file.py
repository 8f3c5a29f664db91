"""The file `.env`: settings for the commands that are started in its folder."""

from __future__ import annotations

from pathlib import Path

from dotenv.parser import parse_stream

from config.settings import CLIENT_NAMES, PREFIX, add_to_environment

USUAL = Path(".env")


class EnvFileError(Exception):
    """The file cannot be used; the text names the lines that are wrong and quotes none."""


def take_settings_from(named: Path | None) -> Path | None:
    """Add the settings of a file to the environment; a variable that is there already stays.

    Without a name the file is `./.env`, if it exists. That file may belong to anybody, so it says
    nothing about the API that a client's key is sent to. Returns the file that was read. Raises
    EnvFileError.
    """
    path = named or USUAL
    if named is None and not path.is_file():
        return None
    add_to_environment(
        {
            name: value
            for name, value in _values_of(path).items()
            if name.startswith(PREFIX) and (named or name not in CLIENT_NAMES)
        }
    )
    return path


def _values_of(path: Path) -> dict[str, str]:
    try:
        with path.open(encoding="utf-8") as file:
            lines = list(parse_stream(file))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise EnvFileError(f"{path} cannot be read: {why}") from error
    wrong = [str(line.original.line) for line in lines if line.error]
    if wrong:
        raise EnvFileError(f"{path}: line {', '.join(wrong)}: not NAME=value")
    return {line.key: line.value or "" for line in lines if line.key is not None}
