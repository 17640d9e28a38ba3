"""``/recordings`` over HTTP: listed, heard, in parts, deleted."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient

from app.api import PATH, ApiParts, create_api
from app.auth.service import Role, create_key
from app.db.session import Database
from app.outbox.repository import alone_with
from app.recordings import flac
from app.recordings.models import Recording
from app.recordings.ports import Places
from app.recordings.stores import LocalFolder
from tests.app.calls.events import NOON

AUDIO = bytes(range(256)) * 10


class Away(LocalFolder):
    """A store that is not the folder of recordings."""

    name = "s3"


class Api:
    """The API over a folder of recordings, with a key of each role."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database, self.folder = database, folder
        self.earlier = Away(folder.parent / "bucket")
        places = Places(folder, LocalFolder(folder), others=(self.earlier,))
        web = FastAPI()
        web.mount(PATH, create_api(database, ApiParts(recordings=places)))
        self.client = AsyncClient(transport=ASGITransport(web), base_url=f"http://test{PATH}")

    async def keep(self, number: int, state: str = "kept", store: str = "local") -> UUID:
        key, identity = f"2026/03/01/{uuid4()}.flac", uuid4()
        (self.folder / key).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / key).write_bytes(AUDIO)
        async with self.database.transaction() as session:
            session.add(
                Recording(
                    id=identity,
                    call_id=identity,
                    started_at=NOON + timedelta(minutes=number),
                    state=state,
                    source="trunkline",
                    store=store,
                    path=key,
                    format="flac",
                    channels=2,
                    sample_rate=8000,
                    duration_seconds=12.5,
                    size_bytes=len(AUDIO),
                    sha256="0" * 64,
                    pauses=[[1.0, 2.5]],
                )
            )
        return identity

    async def role(self, role: Role) -> None:
        async with self.database.transaction() as session:
            secret = (await create_key(session, role, "test")).secret
        self.client.headers["Authorization"] = f"Bearer {secret}"


@pytest.fixture
async def api(database: Database, tmp_path: Path) -> AsyncIterator[Api]:
    api = Api(database, tmp_path / "recordings")
    await api.role(Role.VIEWER)
    async with api.client:
        yield api


async def test_recordings_are_listed_and_described(api: Api) -> None:
    first, second = [await api.keep(number) for number in range(2)]
    listed = (await api.client.get("/recordings")).json()["recordings"]
    assert [UUID(each["id"]) for each in listed] == [second, first]
    only = (await api.client.get("/recordings", params={"call_id": str(first)})).json()["recordings"]
    assert [UUID(each["id"]) for each in only] == [first]
    shown = (await api.client.get(f"/recordings/{first}")).json()
    assert (shown["duration_seconds"], shown["pauses"], shown["state"]) == (12.5, [[1.0, 2.5]], "kept")
    assert "path" not in shown


@pytest.mark.parametrize(
    ("asked", "begin", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=100-199", 100, 200),
        ("bytes=2000-", 2000, 2560),
        ("bytes=-60", 2500, 2560),
        ("bytes=2559-99999", 2559, 2560),
        ("bytes=-99999", 0, 2560),
    ],
)
async def test_a_part_of_the_audio(api: Api, asked: str, begin: int, end: int) -> None:
    answer = await api.client.get(f"/recordings/{await api.keep(0)}/audio", headers={"Range": asked})
    assert answer.status_code == 206
    assert answer.content == AUDIO[begin:end]
    assert answer.headers["content-range"] == f"bytes {begin}-{end - 1}/2560"


@pytest.mark.parametrize("asked", [None, "bytes=", "bytes=-", "bytes=9-3", "items=0-1", "bytes=0-1,5-6"])
async def test_the_whole_audio(api: Api, asked: str | None) -> None:
    headers = {} if asked is None else {"Range": asked}
    answer = await api.client.get(f"/recordings/{await api.keep(0)}/audio", headers=headers)
    assert (answer.status_code, answer.content) == (200, AUDIO)
    assert answer.headers["content-type"] == "audio/flac"


@pytest.mark.parametrize("asked", ["bytes=2560-", "bytes=9999-10000", "bytes=-0"])
async def test_a_part_that_is_not_there(api: Api, asked: str) -> None:
    answer = await api.client.get(f"/recordings/{await api.keep(0)}/audio", headers={"Range": asked})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == "bytes */2560"


async def test_audio_that_is_not_kept_or_not_there(api: Api) -> None:
    for state in ("recorded", "failed", "erased"):
        answer = await api.client.get(f"/recordings/{await api.keep(0, state)}/audio")
        assert answer.status_code == 409
        assert state in answer.json()["detail"]
    assert (await api.client.get(f"/recordings/{uuid4()}/audio")).status_code == 404
    lost = await api.keep(0)
    for file in api.folder.rglob("*.flac"):
        file.unlink()
    assert (await api.client.get(f"/recordings/{lost}/audio")).status_code == 404


async def test_only_admins_delete(api: Api) -> None:
    kept = await api.keep(0)
    assert (await api.client.delete(f"/recordings/{kept}")).status_code == 403
    await api.role(Role.ADMIN)
    assert (await api.client.delete(f"/recordings/{kept}")).status_code == 204
    assert list(api.folder.rglob("*.flac")) == []
    assert (await api.client.get(f"/recordings/{kept}")).json()["state"] == "erased"
    (entry,) = (await api.client.get("/audit")).json()["entries"]
    assert (entry["action"], entry["resource_id"]) == ("delete", str(kept))


@pytest.mark.parametrize("state", ["recorded", "kept", "failed", "erased"])
async def test_whatever_became_of_it_the_audio_is_deleted(api: Api, state: str) -> None:
    await api.role(Role.ADMIN)
    recording = await api.keep(0, state)
    (file,) = api.folder.rglob("*.flac")
    shutil.copy(file, flac.part_of(file))
    assert (await api.client.delete(f"/recordings/{recording}")).status_code == 204
    assert list(api.folder.rglob("*.flac*")) == []
    assert (await api.client.get(f"/recordings/{recording}")).json()["state"] == "erased"


async def test_nothing_is_deleted_that_is_being_worked_on(api: Api) -> None:
    await api.role(Role.ADMIN)
    recording = await api.keep(0)
    async with alone_with(api.database.engine, recording):
        answer = await api.client.delete(f"/recordings/{recording}")
    assert (answer.status_code, answer.json()["detail"].split(";")[1]) == (409, " try again in a moment")
    (file,) = api.folder.rglob("*.flac")
    with flac.part_of(file).open("wb") as part:
        fcntl.flock(part, fcntl.LOCK_EX)
        assert (await api.client.delete(f"/recordings/{recording}")).status_code == 503
    assert (await api.client.get(f"/recordings/{recording}")).json()["state"] == "kept"


async def test_audio_of_an_earlier_store_is_heard_and_deleted(api: Api) -> None:
    await api.role(Role.ADMIN)
    recording = await api.keep(0, store="s3")
    (file,) = api.folder.rglob("*.flac")
    await api.earlier.put(file, file.relative_to(api.folder).as_posix())
    file.unlink()
    assert (await api.client.get(f"/recordings/{recording}/audio")).content == AUDIO
    assert (await api.client.delete(f"/recordings/{recording}")).status_code == 204
    assert list(api.folder.parent.rglob("*.flac")) == []


async def test_a_store_that_nobody_knows_is_named(api: Api) -> None:
    await api.role(Role.ADMIN)
    recording = await api.keep(0, store="gone")
    for answer in (
        await api.client.get(f"/recordings/{recording}/audio"),
        await api.client.delete(f"/recordings/{recording}"),
    ):
        assert answer.status_code == 503
        assert "'gone'" in answer.json()["detail"]
    assert (await api.client.get(f"/recordings/{recording}")).json()["state"] == "kept"
