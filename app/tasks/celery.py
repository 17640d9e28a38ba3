"""Celery's application: what a worker does, and when. ``trunkline worker`` runs it.

Without a broker in the settings, messages are files under the data directory: no server is needed, and web
process and worker must share that directory.
"""

from __future__ import annotations

from typing import Any

from celery import Celery
from celery.schedules import crontab

from app.tasks import file_broker
from config.settings import Settings

CLOSE_ABANDONED_SECONDS = 30.0
DELIVER_SECONDS = 5.0
RETENTION_SECONDS = 24 * 3600.0
COUNT_SECONDS = 600.0
WATCH_HOURS = "0,6"  # UTC; the second time sees what outages delayed
WATCH_MINUTE = "30"  # yesterday's last hour is counted by then
RELAYS = 5  # looks of a web process at the outbox for one of a worker, which is for when there is none
POLL_SECONDS = 0.25  # of the broker of files
BROKER_SECONDS = 5.0  # to connect to the broker, and for its answers

TASKS = (
    "app.tasks.apply_retention",
    "app.tasks.close_abandoned",
    "app.tasks.count_latencies",
    "app.tasks.deliver_webhooks",
    "app.tasks.erase_waiting",
    "app.tasks.post_call",
    "app.tasks.relay_outbox",
    "app.tasks.watch_latency",
)


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
        "timezone": "UTC",
        "beat_schedule_filename": str(settings.data_dir / "celery-schedule"),
        "beat_schedule": {
            "close abandoned calls": _every(CLOSE_ABANDONED_SECONDS, "close_abandoned"),
            "relay the outbox": _every(RELAYS * settings.after_calls.relay_seconds, "relay_outbox"),
            "deliver webhooks": _every(DELIVER_SECONDS, "deliver_webhooks"),
            "erase waiting calls": _every(CLOSE_ABANDONED_SECONDS, "erase_waiting"),
            "apply retention": _every(RETENTION_SECONDS, "apply_retention"),
            "count latencies": _every(COUNT_SECONDS, "count_latencies"),
            "watch latency": {
                "task": "watch_latency",
                "schedule": crontab(minute=WATCH_MINUTE, hour=WATCH_HOURS),
                "options": {"expires": 6 * 3600.0},
            },
        },
    }


def _every(seconds: float, task: str) -> dict[str, Any]:
    """A task at intervals; none pile up while no worker runs."""
    return {"task": task, "schedule": seconds, "options": {"expires": max(seconds, 1.0)}}


celery = Celery("trunkline", include=list(TASKS))
celery.add_defaults(lambda: configuration(worker_settings()))  # when it is first needed, not on import
