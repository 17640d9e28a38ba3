"""A database that goes away: a relay before its socket that can be cut, or be made to hang."""

from __future__ import annotations

import asyncio
from contextlib import closing
from pathlib import Path

from app.db.session import Database, normalise_url


class Relay:
    """Stands between the product and the server of ``database``, which stays up."""

    def __init__(self, folder: Path, database: Database) -> None:
        url = normalise_url(database.engine.url.render_as_string(hide_password=False))
        self._path = folder / ".s.PGSQL.5432"
        self._server = Path(str(url.query["host"])) / ".s.PGSQL.5432"
        self._listener: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self.url = url.set(query={"host": str(folder)}).render_as_string(hide_password=False)

    async def up(self) -> None:
        self._listener = await asyncio.start_unix_server(self._relay, self._path)

    async def down(self) -> None:
        if self._listener is None:
            return
        self._listener.close()
        self._listener = None
        self._path.unlink(missing_ok=True)
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.sleep(0)

    def hang(self) -> None:
        """Connections stay, and nothing comes through any more."""
        self._flowing.clear()

    def flow(self) -> None:
        self._flowing.set()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, forth = await asyncio.open_unix_connection(self._server)
        self._writers |= {writer, forth}

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            with closing(sink):
                while data := await source.read(65_536):
                    await self._flowing.wait()
                    sink.write(data)

        await asyncio.gather(pump(reader, forth), pump(back, writer), return_exceptions=True)
        self._writers -= {writer, forth}
