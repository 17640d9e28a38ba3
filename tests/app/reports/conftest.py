"""A recorder that stores what reports are made of."""

from tests.app.calls.conftest import presence, recorder, store

__all__ = ["presence", "recorder", "store"]
