"""``trunkline erase``."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from typing import Annotated

import typer
import uvloop

from app.audit.service import OURSELVES
from app.calls.erasing.caller import Erased, OwnNumber, erase_caller
from app.cli.settings import read_settings
from app.db.start import open_database
from app.numbers.e164 import E164
from app.places import build_places
from config.erasure_key import erasure_key


def erase(
    caller: Annotated[str, typer.Option(help="The caller's number in E.164, such as +4915112345678.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Delete every trace of a caller: calls, words, results, recordings, messages."""
    if not re.fullmatch(E164, caller):
        raise SystemExit("trunkline: --caller must be a telephone number in E.164, such as +4915112345678")

    async def work() -> Erased:
        settings = read_settings()
        url = settings.database_url.get_secret_value()
        async with open_database(url, settings.data_dir) as database:
            key = erasure_key(settings)
            return await erase_caller(database, build_places(settings), caller, key, OURSELVES)

    try:
        done = uvloop.run(work())
    except OwnNumber as error:
        raise SystemExit(f"trunkline: {error}") from None
    if as_json:
        print(json.dumps(asdict(done)))
        return
    gone = ", ".join(f"{count} {table}" for table, count in done.rows.items() if count) or "nothing"
    print(f"deleted: {gone}; {done.files} files of recordings")
    if done.waiting:
        print(
            f"{done.waiting} calls have not ended, are being worked up, or have a recording that cannot be "
            "deleted now (the log says why); the worker deletes them as soon as it can"
        )
    print(f"the audit log names the number by its hash {done.hash[:16]}...")
