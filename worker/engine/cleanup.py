"""What an attempt leaves behind is removed, at once or as soon as the disk lets us."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)

# A disk that could not be written for a moment must not cost its room until the next sweep.
AGAIN_SECONDS = 2.0


def remove_in_the_end(remove: Callable[[], None]) -> None:
    """Call it now, and again until it raises OSError no more.

    Should this process end before, the sweep at the next start, or that of the storage, comes by.
    """
    try:
        remove()
    except OSError as error:
        log.warning("could not remove a leftover yet", extra={"values": {"why": str(error)}})
        again = threading.Timer(AGAIN_SECONDS, remove_in_the_end, [remove])
        again.daemon = True
        again.start()
