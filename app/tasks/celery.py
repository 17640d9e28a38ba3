"""Celery's application: ``celery -A app.tasks.celery worker --beat``.

Without a broker in the settings, messages are files under the data directory: no server is needed, and web
process and worker must share that directory.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from celery import Celery

from config.settings import Settings

CLOSE_ABANDONED_SECONDS = 30.0
POLL_SECONDS = 0.25  # of the broker of files


def worker_settings() -> Settings:
    """The settings of the worker's process, for Celery and for its tasks."""
    return Settings()


def configuration(settings: Settings) -> dict[str, Any]:
    """Celery's settings from ours. Makes the folders that a broker of files needs."""
    url = settings.broker_url.get_secret_value()
    options: dict[str, Any] = {} if url else _file_broker(settings.data_dir)
    return {
        "broker_url": url or "filesystem://localhost//",
        "broker_transport_options": options,
        "broker_connection_retry_on_startup": True,
        "task_serializer": "json",
        "accept_content": ["json"],
        "task_ignore_result": True,  # tasks leave their results in the database
        "task_acks_late": True,  # a task whose worker died is done again; every task may be done twice
        "worker_hijack_root_logger": False,
        "timezone": "UTC",
        "beat_schedule_filename": str(settings.data_dir / "celery-schedule"),
        "beat_schedule": {
            "close abandoned calls": {
                "task": "close_abandoned",
                "schedule": CLOSE_ABANDONED_SECONDS,
                "options": {"expires": CLOSE_ABANDONED_SECONDS},  # none pile up while no worker runs
            }
        },
    }


def _file_broker(data_dir: Path) -> dict[str, Any]:
    folder = data_dir.resolve() / "broker"
    for name in ("messages", "control"):
        (folder / name).mkdir(parents=True, exist_ok=True, mode=0o700)
    return {
        "data_folder_in": str(folder / "messages"),
        "data_folder_out": str(folder / "messages"),
        "control_folder": str(folder / "control"),
        "polling_interval": POLL_SECONDS,
    }


celery = Celery("trunkline", include=["app.tasks.close_abandoned"])
celery.add_defaults(lambda: configuration(worker_settings()))  # when it is first needed, not on import
