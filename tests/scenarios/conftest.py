"""The calls over the wire, held together once one of them is asked for; the pages and totals of a run."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.db_fixtures import execute, with_database
from tests.scenarios import reading, wire
from tests.scenarios.pages import Pages
from tests.scenarios.wire import HeldCalls

DATABASE = "scenarios"
PAGES = "SCENARIO_PAGES"
"""The environment variable that names the folder for the pages; by default one of pytest's own."""

_SPECULATIONS = pytest.StashKey[Counter[str]]()
_AGAIN = pytest.StashKey[Sequence[str]]()
_FOLDER = pytest.StashKey[Path]()


@pytest.fixture(scope="session")
def held_over_the_wire(request: pytest.FixtureRequest, postgres: str, template: str) -> HeldCalls:
    """What came of every scenario that this run selected."""
    named = {item.name.partition("[")[2].removesuffix("]") for item in request.session.items}
    scenarios = [scenario for scenario in reading.read_all() if scenario.name in named]
    asyncio.run(execute(postgres, f"CREATE DATABASE {DATABASE} TEMPLATE {template}"))
    held = wire.hold_all(scenarios, with_database(postgres, DATABASE))
    request.config.stash[_AGAIN] = held.again
    return held


@pytest.fixture(scope="session")
def pages(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    """The pages of this run's calls."""
    named = os.environ.get(PAGES)
    written = Pages(Path(named) if named else tmp_path_factory.mktemp("scenarios"))
    request.config.stash[_FOLDER] = written.folder
    yield written
    written.close()
    request.config.stash[_SPECULATIONS] = written.speculations()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Where the pages are, what became of the speculations, and which calls had to be held again."""
    folder = config.stash.get(_FOLDER, None)
    if folder is None:
        return
    terminalreporter.write_line(f"scenario pages: {folder / 'index.html'}")
    count = config.stash.get(_SPECULATIONS, Counter[str]())
    if count["started"]:
        terminalreporter.write_line(
            f"speculations: {count['started']} started, {count['used']} used, {count['dropped']} dropped "
            f"({100 * count['dropped'] / count['started']:.0f} %)"
        )
    again = config.stash.get(_AGAIN, ())
    if again:
        terminalreporter.write_line(f"held again, the machine stood still: {', '.join(again)}")
