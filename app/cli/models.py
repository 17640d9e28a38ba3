"""``trunkline models``: what the engines need: list it, fetch it, check it."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from app.cli.settings import read_settings
from app.engines.supply.catalogue import Catalogue, Model, read_catalogue
from app.engines.supply.download import Progress, new_client
from app.engines.supply.fetch import fetch
from app.engines.supply.needs import Need, needs
from app.engines.supply.shelf import condition
from config.settings import Settings

cli = typer.Typer(help="Models of the engines.", no_args_is_help=True)
Profile = Annotated[str, typer.Option(help="What this profile needs; default: the one that is set.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_REDRAW_SECONDS = 0.2


@cli.command("list")
def show(
    profile: Annotated[str, typer.Option(help="Only what this profile needs.")] = "", as_json: AsJson = False
) -> None:
    """List the models that can be fetched, and which are there."""
    settings, catalogue = read_settings(profile), read_catalogue()
    needed = {need.model for need in _needs(settings, catalogue) if need.model}
    rows = [
        {
            "name": model.name,
            "engine": model.engine,
            "languages": list(model.languages),
            "megabytes": round(model.bytes / 1e6),
            "licence": model.licence,
            "state": condition(model, settings.models_dir, thorough=False).state,
            "needed": model.name in needed,
            "about": model.about,
            "source": model.source,
        }
        for model in catalogue.models
        if not profile or model.name in needed
    ]
    if as_json:
        print(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    for row in rows:
        mark = "*" if row["needed"] else " "
        print(f"{mark} {row['name']:<45} {row['megabytes']:>5} MB  {row['state']:<11} {row['about']}")
        print(f"    {row['engine']}, licence: {row['licence']}, from {row['source']}")
    print(f"* needed by the profile {settings.profile}. Models are in {settings.models_dir.resolve()}")


@cli.command("fetch")
def bring(
    names: Annotated[list[str] | None, typer.Argument(help="Models, as listed.")] = None,
    profile: Annotated[str, typer.Option(help="All that this profile needs.")] = "",
) -> None:
    """Fetch models. What broke off goes on where it was; what is there and intact is left."""
    settings, catalogue = read_settings(profile), read_catalogue()
    wanted = [catalogue.get(name) for name in dict.fromkeys(names or ())]
    if profile:
        needed = {need.model for need in _needs(settings, catalogue) if need.model}
        wanted += [model for model in catalogue.models if model.name in needed and model not in wanted]
    if not wanted:
        if profile:
            print(f"the profile {profile} needs no model that is listed")
            return
        sys.exit("trunkline: name the models to fetch, or a profile: trunkline models fetch --profile local")
    with new_client() as client:
        for model in wanted:
            if condition(model, settings.models_dir).state == "intact":
                print(f"{model.name} is there")
                continue
            place = fetch(client, model, settings.models_dir, partial(_progress, model))
            print(f"{model.name} is in {place.resolve()} (licence: {model.licence})")
            _advise(model, place)


@cli.command("check")
def check(profile: Profile = "", as_json: AsJson = False) -> None:
    """Say for each engine of the profile what it needs and whether it is there. Asks no server."""
    settings = read_settings(profile)
    found = _needs(settings, read_catalogue())
    if as_json:
        print(json.dumps([asdict(need) for need in found], indent=2, ensure_ascii=False))
    else:
        _print(settings.profile, found)
    if not all(need.met for need in found):
        raise SystemExit(1)


def _print(profile: str, found: Sequence[Need]) -> None:
    for need in found:
        print(f"{'ok     ' if need.met else 'MISSING'}  {need.port:<4} {need.engine:<20} {need.what}")
        if not need.met:
            print(f"{'':14}{need.advice}")
    missing = sum(not need.met for need in found)
    if missing:
        print(f"the profile {profile} lacks {missing} of {len(found)}")
    else:
        print(f"the profile {profile} has all that can be checked here; servers were not asked")


def _needs(settings: Settings, catalogue: Catalogue) -> list[Need]:
    return needs(settings.engines, settings.models_dir, catalogue)


def _advise(model: Model, place: Path) -> None:
    if model.engine == "smart_turn":
        path = place.resolve() / model.files[0].path
        print(f"  to use it, set TRUNKLINE_ENGINES__SMART_TURN__PATH={path}")


def _progress(model: Model, label: str) -> Progress:
    """Draws one line again and again on a terminal; one line a file elsewhere."""
    terminal = sys.stderr.isatty()
    drawn = 0.0
    if not terminal:
        print(f"{model.name}: {label}", file=sys.stderr)

    def tell(there: int, total: int | None) -> None:
        nonlocal drawn
        complete = total is not None and there >= total
        if not terminal or (not complete and time.monotonic() - drawn < _REDRAW_SECONDS):
            return
        drawn = time.monotonic()
        share = f" of {total / 1e6:.1f} MB, {100 * there // total} %" if total else " MB"
        end = "\n" if complete else ""
        print(
            f"\r{model.name}: {label}: {there / 1e6:.1f}{share}\x1b[K", end=end, file=sys.stderr, flush=True
        )

    return tell
