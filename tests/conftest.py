"""Fixtures for all tests."""

from collections.abc import Iterator

import hypothesis
import pytest

from tests.peers.apart import Addresses, peers_apart

pytest_plugins = ["tests.db_fixtures"]

# The same code is tried on the same examples, at whatever speed; --hypothesis-profile=explore draws others.
hypothesis.settings.register_profile("explore", deadline=None)
hypothesis.settings.register_profile("steady", deadline=None, derandomize=True)
hypothesis.settings.load_profile("steady")


@pytest.fixture(scope="session")
def addresses() -> Iterator[Addresses]:
    """Servers whose work is neither this process's CPU time nor that of its event loop."""
    with peers_apart() as addresses:
        yield addresses
