"""The Celery side of sending: a message is a wake-up call that names a job, nothing more.

The record in the store is the truth. A message may arrive twice, late or never: a worker takes the
next ready job, and the housekeeper sends lost messages again. So the messages may be on a server of
their own (`BROKER_URL`), which may lose them all.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from celery import Celery
from kombu import pools
from kombu.exceptions import KombuError

from tasks.errors import StoreUnavailable
from tasks.job import Job
from tasks.kinds import KINDS
from tasks.store.connection import translated

log = logging.getLogger(__name__)

TASK_NAME = "clipmill.run"
# A request must not hang on a broker that is down: the record of its job is written already.
_SOON_SECONDS = 2
_SENDING = {"socket_timeout": _SOON_SECONDS, "connect_retries_timeout": 1, "interval_start": 0.2}


def queue_name(kind: str) -> str:
    """The Celery queue that carries a kind of job."""
    return f"clipmill.{kind}"


def broker_url(redis_url: str) -> str:
    """The URL of a server in kombu's form, which has another scheme for unix sockets."""
    parts = urlsplit(redis_url)
    if parts.scheme != "unix":
        return redis_url
    options = parts.query.replace("db=", "virtual_host=")
    return f"redis+socket://{parts.path}" + (f"?{options}" if options else "")


def make_celery(redis_url: str) -> Celery:
    """Celery on this server, with the settings that survived faults of Redis in tests."""
    app = Celery("clipmill", broker=broker_url(redis_url), set_as_current=False)
    app.conf.update(
        # Early ack: with late ack a lost connection starts a second copy of a running job.
        task_acks_late=False,
        task_ignore_result=True,
        task_serializer="json",
        accept_content=["json"],
        task_default_queue=queue_name(next(iter(KINDS))),
        task_create_missing_queues=True,
        worker_disable_prefetch=True,
        worker_prefetch_multiplier=1,
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        # Wait for a server that refuses writes (no memory, no disk) as for one that is down.
        broker_channel_error_retry=True,
        broker_connection_timeout=5,
        broker_transport_options={
            "socket_timeout": 10,
            "socket_connect_timeout": 5,
            "socket_keepalive": True,
            "health_check_interval": 10,
            "global_keyprefix": "clipmill:celery:",
        },
        # The record store limits the queue; a sender must not hang on a broker that is down.
        task_publish_retry=False,
    )
    return app


class Broker:
    """Sends wake-up calls."""

    def __init__(self, celery: Celery) -> None:
        self._celery = celery
        connection = celery.connection_for_write(
            connect_timeout=_SOON_SECONDS, transport_options=_SENDING
        )
        self._connections = pools.connections[connection]
        self._producers = pools.producers[connection]

    def publish(self, jobs: Iterable[tuple[str, str]]) -> None:
        """Send one message for each (kind, job id). Raises StoreUnavailable."""
        with _taken_from(self._producers) as producer:
            for kind, job_id in jobs:
                self._celery.send_task(
                    TASK_NAME, args=[job_id], queue=queue_name(kind), producer=producer
                )

    def wake(self, jobs: Sequence[tuple[str, str]]) -> None:
        """`publish` for jobs that are recorded, so that a failure does no harm.

        The housekeeper sends the missing messages again.
        """
        if not jobs:
            return
        try:
            self.publish(jobs)
        except StoreUnavailable:
            log.warning(
                "no message could be sent: the housekeeper sends them again",
                extra={"values": {"jobs": len(jobs)}},
            )

    def wake_ready(self, jobs: Sequence[Job], stages: Sequence[str]) -> None:
        """`wake` for the jobs whose stage is ready."""
        written = zip(jobs, stages, strict=True)
        self.wake([(job.kind, job.id) for job, stage in written if stage == "ready"])

    def waiting(self, kind: str) -> int:
        """How many messages of a kind wait in the broker. Raises StoreUnavailable."""
        with _taken_from(self._connections) as connection:
            return int(connection.default_channel._size(queue_name(kind)))

    def ping(self) -> None:
        """Raises StoreUnavailable when the broker does not answer."""
        with _taken_from(self._connections) as connection:
            connection.default_channel.client.ping()


@contextmanager
def _taken_from(pool: Any) -> Iterator[Any]:
    """A member of a pool for the block; every failure of it becomes StoreUnavailable."""
    try:
        with (
            translated("the message broker"),
            pool.acquire(block=True, timeout=_SOON_SECONDS) as taken,
        ):
            yield taken
    except (KombuError, OSError) as error:
        raise StoreUnavailable("the message broker does not answer") from error
