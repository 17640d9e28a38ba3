"""``trunkline db``: the schema."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from app.cli.settings import read_settings
from app.cli.spool import spool
from app.db import commands
from app.db.start import open_database

cli = typer.Typer(help="The database's schema.", no_args_is_help=True)

cli.command("spool")(spool)


@cli.command("upgrade")
def upgrade(revision: Annotated[str, typer.Argument(help="A migration, or head.")] = "head") -> None:
    """Bring the schema up to date. `trunkline run` does so itself."""
    print(uvloop.run(commands.upgrade(*_place(), revision)) or "empty")


@cli.command("downgrade")
def downgrade(revision: Annotated[str, typer.Argument(help="A migration, -1, or base.")]) -> None:
    """Take the schema back. Data of what is dropped is lost."""
    print(uvloop.run(commands.downgrade(*_place(), revision)) or "empty")


@cli.command("current")
def current() -> None:
    """Print the migration that the schema is at."""
    print(uvloop.run(commands.current(*_place())) or "empty")


@cli.command("url")
def url() -> None:
    """Print where the database is, without its password."""
    print(uvloop.run(commands.url(*_place())))


@cli.command("fill")
def fill(
    calls: Annotated[int, typer.Option(min=1, help="How many calls.")] = 1_000_000,
    turns: Annotated[int, typer.Option(min=1, max=100, help="Turns of each call.")] = 10,
    months: Annotated[int, typer.Option(min=1, max=60, help="Over how many months, until now.")] = 12,
) -> None:
    """Fill an empty database with made-up calls, to see how lists and searches fare."""
    uvloop.run(_fill(calls, turns, months))


async def _fill(calls: int, turns: int, months: int) -> None:
    # It reads 117,000 words, which takes 0.05 s, and no other command needs it.
    from bench.fill import Wanted  # noqa: PLC0415
    from bench.fill import fill as fill_database  # noqa: PLC0415

    wanted = Wanted(calls, turns, months, datetime.now(UTC))
    url, data_dir = _place()
    async with open_database(url, data_dir) as database:
        async for line in fill_database(database, wanted):
            print(line)


def _place() -> tuple[str, Path]:
    settings = read_settings()
    return settings.database_url.get_secret_value(), settings.data_dir
