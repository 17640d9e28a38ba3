"""Celery's application: the work after calls comes to a worker by it. ``trunkline worker`` runs it.

Without a broker in the settings, messages are files under the data directory: no server is needed, and web
process and worker must share that directory.
"""

from __future__ import annotations

from typing import Any

from celery import Celery

from app.tasks import file_broker
from config.settings import Settings

POLL_SECONDS = 0.25  # of the broker of files
BROKER_SECONDS = 5.0  # to connect to the broker, and for its answers


def worker_settings() -> Settings:
    """The settings of the worker's process, for Celery and for its tasks."""
    return Settings()


def configuration(settings: Settings) -> dict[str, Any]:
    """Celery's settings from ours. Makes the folders that a broker of files needs."""
    url = settings.broker_url.get_secret_value()
    options: dict[str, Any]
    if not url:
        options = {"polling_interval": POLL_SECONDS, **file_broker.folders(settings.data_dir)}
    elif url.startswith("redis"):
        options = {"socket_connect_timeout": BROKER_SECONDS, "socket_timeout": 2 * BROKER_SECONDS}
    else:
        options = {}
    return {
        "broker_url": url or file_broker.URL,
        "broker_transport_options": options,
        "broker_connection_timeout": BROKER_SECONDS,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,  # a broker may be away for as long as it likes
        "broker_connection_retry_delay_max": 10,
        "task_serializer": "json",
        "accept_content": ["json"],
        "task_ignore_result": True,  # tasks leave their results in the database
        "task_acks_late": True,  # a task whose worker died is done again; every task may be done twice
        "worker_prefetch_multiplier": 1,
        "worker_enable_remote_control": False,
        "worker_hijack_root_logger": False,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
    }


celery = Celery("trunkline", include=["app.tasks.post_call"])
celery.add_defaults(lambda: configuration(worker_settings()))  # when it is first needed, not on import
