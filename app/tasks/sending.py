"""Handing messages to the broker, from a process that is no worker."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from celery import Celery

from app.outbox.relay import BrokerAway
from app.tasks.celery import BROKER_SECONDS, configuration
from config.settings import Settings

POST_CALL = "post_call"


class Publisher:
    """Publishes to the broker of the settings. Its methods block, for seconds where the broker hangs."""

    def __init__(self, settings: Settings) -> None:
        self._celery = Celery("trunkline-web", set_as_current=False)
        self._celery.conf.update(configuration(settings))

    def post_calls(self, call_ids: Sequence[UUID]) -> None:
        """Have the work after these calls done: a message each. Raises ``BrokerAway``."""
        publish(self._celery, call_ids)

    def close(self) -> None:
        """Close the connections."""
        self._celery.close()


def publish(app: Celery, call_ids: Sequence[UUID]) -> None:
    """The same through a Celery application. Raises ``BrokerAway``."""
    try:
        with app.producer_pool.acquire(block=True, timeout=BROKER_SECONDS) as producer:
            for call_id in call_ids:
                app.send_task(POST_CALL, (str(call_id),), producer=producer, retry=False)
    except Exception as error:  # the edge of a foreign library: each transport has errors of its own
        raise BrokerAway(
            f"the broker takes no message ({type(error).__name__}); "
            "check TRUNKLINE_BROKER_URL, and that the broker runs and has space"
        ) from error
