"""``trunkline keys``: keys of the admin API."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
import uvloop

from app.audit.service import OURSELVES
from app.auth.service import Role, list_keys
from app.cli.settings import read_settings
from app.db.start import open_database
from app.keys.service import make_key, withdraw_key

cli = typer.Typer(help="Keys of the admin API.", no_args_is_help=True)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@cli.command("create")
def create(
    label: Annotated[str, typer.Argument(help="Who or what the key is for.")],
    role: Annotated[Role, typer.Option(help="What it may do.")] = Role.VIEWER,
    days: Annotated[int | None, typer.Option(min=1, help="Days until it expires; default: never.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a key. It is shown this once; only its hash is stored."""
    expires = datetime.now(UTC) + timedelta(days=days) if days else None

    async def work() -> None:
        settings = read_settings()
        url = settings.database_url.get_secret_value()
        async with open_database(url, settings.data_dir) as database, database.transaction() as session:
            made = await make_key(session, OURSELVES, role, label, expires)
        print(json.dumps({"id": made.id, "key": made.secret}) if as_json else f"key {made.id}: {made.secret}")

    uvloop.run(work())


@cli.command("list")
def show(as_json: AsJson = False) -> None:
    """List all keys, by id, role and label."""

    async def work() -> None:
        settings = read_settings()
        url = settings.database_url.get_secret_value()
        async with open_database(url, settings.data_dir) as database, database.transaction() as session:
            keys = await list_keys(session)
            rows = [
                {
                    "id": key.id,
                    "begins": key.prefix,
                    "role": str(key.role),
                    "label": key.label,
                    "created": _time(key.created_at),
                    "expires": _time(key.expires_at),
                    "last_used": _time(key.last_used_at),
                }
                for key in keys
            ]
        if as_json:
            print(json.dumps(rows))
            return
        for row in rows:
            print("  ".join(f"{name}={value}" for name, value in row.items() if value is not None))

    uvloop.run(work())


@cli.command("revoke")
def revoke(key_id: Annotated[int, typer.Argument(help="The id that `keys list` shows.")]) -> None:
    """Make a key useless from now on."""

    async def work() -> bool:
        settings = read_settings()
        url = settings.database_url.get_secret_value()
        async with open_database(url, settings.data_dir) as database, database.transaction() as session:
            return await withdraw_key(session, OURSELVES, key_id)

    if not uvloop.run(work()):
        raise SystemExit(f"trunkline: there is no key {key_id}; `trunkline keys list` shows them")
    print(f"key {key_id} is revoked")


def _time(value: datetime | None) -> str | None:
    return None if value is None else value.isoformat(timespec="seconds")
