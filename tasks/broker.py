"""The Celery side of sending: a message is a wake-up call that names a job, nothing more.

The record in the store is the truth. A message may come twice, late or never: a worker takes what
is ready, and the housekeeper sends again what was lost.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from urllib.parse import urlsplit

from celery import Celery
from kombu.exceptions import OperationalError

from tasks.errors import StoreUnavailable

log = logging.getLogger(__name__)

TASK_NAME = "clipmill.run"


def queue_name(kind: str) -> str:
    """The Celery queue that carries a kind of job."""
    return f"clipmill.{kind}"


def broker_url(redis_url: str) -> str:
    """The same server as kombu spells it: unix sockets have a scheme of their own there."""
    parts = urlsplit(redis_url)
    if parts.scheme != "unix":
        return redis_url
    options = parts.query.replace("db=", "virtual_host=")
    return f"redis+socket://{parts.path}" + (f"?{options}" if options else "")


def make_celery(redis_url: str) -> Celery:
    """The Celery application with the settings that were seen to survive faults of Redis."""
    app = Celery("clipmill", broker=broker_url(redis_url), set_as_current=False)
    app.conf.update(
        # Early ack: with late ack one lost connection starts a second copy of a running job.
        task_acks_late=False,
        task_ignore_result=True,
        task_serializer="json",
        accept_content=["json"],
        task_default_queue=queue_name("extract"),
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
        broker_connection_timeout=5,
        broker_transport_options={
            "socket_timeout": 10,
            "socket_connect_timeout": 5,
            "socket_keepalive": True,
            "health_check_interval": 10,
            "global_keyprefix": "clipmill:celery:",
        },
        # The record store is the queue limit; a sender must not hang on a broker that is gone.
        task_publish_retry=False,
    )
    return app


class Broker:
    """Sends wake-up calls."""

    def __init__(self, celery: Celery) -> None:
        self._celery = celery

    def publish(self, jobs: Iterable[tuple[str, str]]) -> None:
        """Send one message for each (kind, job id). Raises StoreUnavailable."""
        try:
            with self._celery.producer_pool.acquire(block=True, timeout=5) as producer:
                for kind, job_id in jobs:
                    self._celery.send_task(
                        TASK_NAME, args=[job_id], queue=queue_name(kind), producer=producer
                    )
        except (OperationalError, OSError) as error:
            raise StoreUnavailable("the message broker does not answer") from error

    def waiting(self, kind: str) -> int:
        """How many messages of a kind lie in the broker. Raises StoreUnavailable."""
        try:
            with self._celery.connection_for_read() as connection:
                channel = connection.default_channel
                return int(channel._size(queue_name(kind)))
        except (OperationalError, OSError) as error:
            raise StoreUnavailable("the message broker does not answer") from error
