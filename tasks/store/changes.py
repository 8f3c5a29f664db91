"""Notifies any number of waiting threads of changes, through one subscription of the process."""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from types import TracebackType
from typing import Any, Self

import redis

from tasks.store.connection import connect
from tasks.store.keys import CHANGES

log = logging.getLogger(__name__)

EVERYTHING = "*"
_RECONNECT_SECONDS = 0.5
_MOST_REMEMBERED = 10_000


class Watcher:
    """Waits for changes of a topic. Enter it before the first read, so that no change is missed."""

    def __init__(self, changes: Changes, topic: str) -> None:
        self._changes = changes
        self._topic = topic
        self._event = threading.Event()
        self._changed: set[str] = set()

    def wait(self, timeout_seconds: float) -> bool:
        """True when the topic has changed since the last call; False after the time-out."""
        changed = self._event.wait(timeout_seconds)
        if changed:  # a clear after a time-out could lose a change of that moment
            self._event.clear()
        return changed

    def notify(self, topic: str) -> None:
        """Record a change of this topic and wake the waiting thread."""
        # A thread that never calls `changed` must not make the set grow without limit.
        self._changed.add(topic if len(self._changed) < _MOST_REMEMBERED else EVERYTHING)
        self._event.set()

    def wake(self) -> None:
        """Wake the waiting thread although nothing has changed."""
        self._event.set()

    def changed(self) -> set[str]:
        """The ids that have changed since the last call; with `*` when some may be missing."""
        taken = set()
        # One by one, since the listening thread may add ids meanwhile.
        while self._changed:
            taken.add(self._changed.pop())
        return taken

    def __enter__(self) -> Self:
        self._changes.register(self._topic, self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._changes.unregister(self._topic, self)


class Changes:
    """Listens to the store and wakes the watchers. A topic is a job's or batch's id, or `*`."""

    def __init__(self, url: str) -> None:
        self._client: Any = connect(url, timeout_seconds=2.0)  # pubsub has no types
        self._watchers: dict[str, set[Watcher]] = defaultdict(set)
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="changes", daemon=True)

    def start(self) -> None:
        """Start the listening thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop listening and wake all watchers."""
        self._stopping.set()
        self.wake_all()
        self._thread.join(timeout=5)
        self._client.close()

    def watch(self, topic: str) -> Watcher:
        """A watcher of a topic, to be used as a context manager."""
        return Watcher(self, topic)

    def register(self, topic: str, watcher: Watcher) -> None:
        """Wake this watcher from now on."""
        with self._lock:
            self._watchers[topic].add(watcher)

    def unregister(self, topic: str, watcher: Watcher) -> None:
        """Forget this watcher."""
        with self._lock:
            self._watchers[topic].discard(watcher)
            if not self._watchers[topic]:
                del self._watchers[topic]

    def _listen(self) -> None:
        while not self._stopping.is_set():
            try:
                self._listen_once()
            except redis.RedisError as error:
                log.warning("lost the subscription to changes: %s", type(error).__name__)
                self._stopping.wait(_RECONNECT_SECONDS)

    def _listen_once(self) -> None:
        with self._client.pubsub() as subscription:
            subscription.subscribe(CHANGES)
            while not self._stopping.is_set():
                message: Any = subscription.get_message(timeout=1.0)
                if message is not None and message["type"] == "message":
                    self._wake(message["data"].decode())
                elif message is not None and message["type"] == "subscribe":
                    # The subscription begins now, or anew: the client library renews a lost
                    # subscription by itself. Changes before this were missed, so all watchers wake.
                    self.wake_all()

    def _wake(self, topic: str) -> None:
        with self._lock:
            for watcher in (*self._watchers.get(topic, ()), *self._watchers.get(EVERYTHING, ())):
                watcher.notify(topic)

    def wake_all(self) -> None:
        """Wake every watcher: something changed that concerns all."""
        with self._lock:
            for watchers in self._watchers.values():
                for watcher in watchers:
                    watcher.notify(EVERYTHING)
