"""`python -m worker.health`: whether the worker of this host reports to the store.

For a container's health check. Exit status 0 when it does, 1 when it does not or the store is
away, 2 when the settings cannot be used.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterable

from config.settings import SettingsError, load_settings
from tasks.errors import StoreUnavailable
from tasks.kinds import KINDS
from tasks.metrics.report import WorkerReport
from tasks.store import Store


def reports_from(host: str, reports: Iterable[WorkerReport]) -> bool:
    """Whether one of the reports is of the host; the store drops reports that are not fresh."""
    return any(report.host == host for report in reports)


def main() -> int:
    """Look once; the exit status."""
    try:
        settings = load_settings(kinds=KINDS)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    if settings.redis_url is None:
        print("CLIPMILL_REDIS_URL is not set", file=sys.stderr)
        return 2
    try:
        reports = Store.at(settings.redis_url).workers.present()
    except StoreUnavailable as error:
        print(error.message, file=sys.stderr)
        return 1
    if reports_from(socket.gethostname(), reports):
        return 0
    print(f"no worker on {socket.gethostname()} has reported lately", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
