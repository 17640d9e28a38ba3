"""``trunkline db``: the schema."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
import uvloop

from app.cli.settings import read_settings
from app.db import commands

cli = typer.Typer(help="The database's schema.", no_args_is_help=True)


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


def _place() -> tuple[str, Path]:
    settings = read_settings()
    return settings.database_url.get_secret_value(), settings.data_dir
