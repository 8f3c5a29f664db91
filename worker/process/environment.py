"""The environment of a tool, made from scratch."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path


def environment(folder: Path, env: Mapping[str, str]) -> dict[str, str]:
    """The environment of a tool in `folder`: nothing is inherited (keys, `no_proxy`, loader paths).

    `env` comes last and wins.
    """
    return {
        "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",  # lines must come when they are printed
        "PYTHONSAFEPATH": "1",  # a file in the job's folder must not be imported
        "PYTHONNOUSERSITE": "1",  # nor a file under its home, which is the same folder
        "SVT_LOG": "1",  # the AV1 encoder would fill stderr with its settings
        **env,
    }
