"""How many messages wait in the broker, whatever broker it is."""

from __future__ import annotations

from celery import Celery
from kombu.exceptions import ChannelError

from app.tasks.celery import BROKER_SECONDS, configuration
from config.settings import Settings

QUEUE = "celery"  # Celery's own name of its queue


class BrokerDepth:
    """Asks the broker of the settings, over a connection that stays open. Blocks."""

    def __init__(self, settings: Settings) -> None:
        self._celery = Celery("trunkline-depth", set_as_current=False)
        self._celery.conf.update(configuration(settings))

    def __call__(self) -> int:
        """Messages that no worker has taken. Raises what the transport raises where the broker is away."""
        pool = self._celery.pool
        with pool.acquire(block=True, timeout=BROKER_SECONDS) as connection, connection.channel() as channel:
            try:
                return int(channel.queue_declare(queue=QUEUE, passive=True).message_count)
            except ChannelError:  # there is no such queue until the first message
                return 0

    def close(self) -> None:
        """Close the connection."""
        self._celery.close()
