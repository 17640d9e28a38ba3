"""How often a client may ask, however it writes its key and wherever it comes from."""

from __future__ import annotations

from app.api import ApiParts
from app.auth.service import Role
from app.db.session import Database
from app.rest.limiting import RateLimits
from tests.app.api_client import api_client


async def test_a_key_is_the_same_however_many_spaces_are_before_and_behind_it(database: Database) -> None:
    parts = ApiParts(limits=RateLimits(key_requests=4, other_requests=50))
    async with api_client(database, Role.VIEWER, parts) as client:
        key = client.headers["authorization"].removeprefix("Bearer ")
        written = [f"Bearer {' ' * number}{key}" for number in range(6)] + [f"bearer {key} "]
        answers = [
            (await client.get("/calls", headers={"Authorization": each})).status_code for each in written
        ]
    assert answers == [200] * 5 + [429] * 2  # the first one introduces the key
