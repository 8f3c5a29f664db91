"""What messages are signed with: a secret of each owner, and a private key of the installation."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.signing import new_private_key, new_secret
from tasks.store.connection import StorePart, translated
from tasks.store.keys import key

BOTH_SECONDS = 24 * 3600.0  # how long the old secret signs beside a new one


@dataclass(frozen=True)
class Secret:
    """The secret of an owner, and the one before it while receivers change over.

    `previous_until` is in seconds since 1970, UTC.
    """

    current: str
    previous: str | None = None
    previous_until: float | None = None

    @property
    def all(self) -> tuple[str, ...]:
        """Every secret that signs now."""
        return (self.current,) if self.previous is None else (self.current, self.previous)


class Secrets(StorePart):
    """Secrets and the private key; each is made when it is first needed."""

    def of(self, owner: str) -> Secret:
        """The secret of an owner."""
        name = key("webhook", "secret", owner)
        with translated():
            got = self._redis.hmget(name, "current", "previous", "previous_until")
            if got[0] is None:
                self._redis.hsetnx(name, "current", new_secret())  # one of several makers wins
                got = self._redis.hmget(name, "current", "previous", "previous_until")
            now = self._redis.time()[0]
        current, previous, until = got[0].decode(), got[1], float(got[2] or 0)
        if previous is None or until <= now:
            return Secret(current)
        return Secret(current, previous.decode(), until)

    def rotate(self, owner: str) -> Secret:
        """Make a new secret; the present one signs beside it for a day."""
        before = self.of(owner)
        name = key("webhook", "secret", owner)
        with translated():
            until = self._redis.time()[0] + BOTH_SECONDS
            fields = {"current": new_secret(), "previous": before.current, "previous_until": until}
            self._redis.hset(name, mapping=fields)
        return self.of(owner)

    def private_key(self) -> str:
        """The private key of this installation."""
        name = key("webhook", "private_key")
        with translated():
            found = self._redis.get(name)
            if found is None:
                self._redis.set(name, new_private_key(), nx=True)
                found = self._redis.get(name)
        return str(found.decode())
