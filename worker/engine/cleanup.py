"""Removing what an attempt leaves behind, at once or as soon as the disk allows it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from config.timings import PRODUCTION
from tasks.errors import StorageUnavailable

log = logging.getLogger(__name__)


def remove_in_the_end(
    remove: Callable[[], None], again_seconds: float = PRODUCTION.removal_retry_seconds
) -> None:
    """Call `remove` now, and every `again_seconds` until no disk or storage refuses.

    Should this process end before, the sweep at the next start or that of the storage removes it.
    """
    try:
        remove()
    except (OSError, StorageUnavailable) as error:
        log.warning("could not remove a leftover yet", extra={"values": {"why": str(error)}})
        again = threading.Timer(again_seconds, remove_in_the_end, [remove, again_seconds])
        again.daemon = True
        again.start()
