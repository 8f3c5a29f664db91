"""What follows when keys change or are used: seen by a thread beside the requests."""

from __future__ import annotations

import logging
import time

from tasks.errors import StoreUnavailable
from web.http.audit import audit_keys
from web.http.services import Services

log = logging.getLogger(__name__)

_NOTE_SECONDS = 10.0


class KeyWatch:
    """Looks at the key file and at the use of keys."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._present = services.authenticator.present()
        self._is_told = not self._present  # without keys nobody has limits
        self._note_at = 0.0

    def look(self) -> None:
        """Do what is due. A store that is away is asked again at the next look."""
        services, before = self._services, self._present
        self._present = services.authenticator.present()
        if self._present != before:
            audit_keys({key.name for key in before}, {key.name for key in self._present})
            services.changes.wake_all()  # streams of revoked keys end
            self._is_told = False
        try:
            if not self._is_told:
                self._tell_limits()
            if time.monotonic() >= self._note_at:
                self._note_at = time.monotonic() + _NOTE_SECONDS
                services.use.note_keys(services.authenticator.take_last_used())
        except StoreUnavailable as error:
            log.warning("limits and use of keys have to wait: %s", error.message)

    def _tell_limits(self) -> None:
        """Tell the workers how many jobs of each key may run."""
        keys = [key for key in self._present if key.limits.running_jobs]
        limits = {key.name: key.limits.running_jobs or 0 for key in keys}
        self._services.store.leases.limit_running(limits)
        self._is_told = True
