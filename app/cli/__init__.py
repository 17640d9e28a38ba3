"""The command line: ``trunkline``. Each command is a thin shell over a part that does the work."""

from __future__ import annotations

import sys

import typer

from app.agents.directory import StoredProfileError, UnknownAgent
from app.agents.files import AgentFileError
from app.auth.service import WeakKey
from app.calls.spool.folder import SpoolUnavailable
from app.cli import bench, calling, db, erasing, keys, latency, models, serving, twilio, voices, worker
from app.db.errors import DatabaseError
from app.engines.errors import EngineUnavailable
from app.engines.supply.catalogue import CatalogueError
from app.engines.supply.fetch import ModelNotFetched
from app.main import PortInUse
from app.observability.observing import TracingUnavailable
from config.secrets import SecretsError
from telephony.errors import TelephonyError

cli = typer.Typer(
    name="trunkline",
    help="A contact-center voice agent that answers telephone calls.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
cli.command("run")(serving.run)
cli.command("worker")(worker.worker)
cli.command("erase")(erasing.erase)
cli.command("call")(calling.call)
cli.command("demo")(calling.demo)
cli.command("latency")(latency.latency)
cli.command("bench")(bench.bench)
cli.command("voices")(voices.voices)
cli.add_typer(keys.cli, name="keys")
cli.add_typer(db.cli, name="db")
cli.add_typer(models.cli, name="models")
cli.add_typer(twilio.cli, name="twilio")

_UNDERSTOOD = (
    AgentFileError,
    CatalogueError,
    DatabaseError,
    EngineUnavailable,
    ModelNotFetched,
    PortInUse,
    SecretsError,
    SpoolUnavailable,
    StoredProfileError,
    TelephonyError,
    TracingUnavailable,
    UnknownAgent,
    WeakKey,
    calling.CallFailed,
)
"""Errors whose text says what happened and what to do: shown without a traceback."""


def main() -> None:
    """The console script."""
    try:
        cli()
    except _UNDERSTOOD as error:
        sys.exit(f"trunkline: {error}")
    except BaseExceptionGroup as group:
        understood, other = group.split(_UNDERSTOOD)
        if understood is None or other is not None:
            raise
        sys.exit(f"trunkline: {_first(understood)}")


def _first(error: BaseException) -> BaseException:
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error
