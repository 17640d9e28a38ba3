"""Where recordings are kept: a folder of this machine, or a bucket of an S3-compatible service."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from app.recordings.flac import sync_folder
from app.recordings.keys import is_key
from app.recordings.scratch import scratch_file

if TYPE_CHECKING:
    from obstore import GetOptions
    from obstore.store import S3Config

PART_BYTES = 256 * 1024
_UPLOAD_PART_BYTES = 5 * 1024 * 1024  # the least that S3 takes
_UPLOADS_AT_ONCE = 2


class StoreError(Exception):
    """The store failed. The message says what to check; the same request may succeed later."""


class NotStored(StoreError):
    """The store has nothing of that name."""


class LocalFolder:
    """Files of mode 0600 under ``root``. Implements ``Store``."""

    name = "local"

    def __init__(self, root: Path) -> None:
        self._root = root

    async def put(self, path: Path, key: str) -> None:
        """See ``Store.put``. A file that lies where it belongs already is left there."""
        putting = asyncio.get_running_loop().run_in_executor(None, self._put, path, self._path(key))
        try:
            await asyncio.shield(putting)
        except asyncio.CancelledError:
            await asyncio.wait([putting])  # a thread goes on: nothing may come after whoever gave up
            raise

    async def size(self, key: str) -> int:
        """See ``Store.size``."""
        with _file_errors(key):
            return (await asyncio.to_thread(self._path(key).stat)).st_size

    async def stream(self, key: str, begin: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """See ``Store.stream``."""
        with _file_errors(key):
            file = await asyncio.to_thread(self._path(key).open, "rb")
            try:
                await asyncio.to_thread(file.seek, begin)
                left = float("inf") if end is None else end - begin
                while left > 0 and (part := await asyncio.to_thread(file.read, int(min(left, PART_BYTES)))):
                    left -= len(part)
                    yield part
            finally:
                file.close()

    async def delete(self, key: str) -> None:
        """See ``Store.delete``."""
        with _file_errors(key):
            await asyncio.to_thread(self._path(key).unlink, missing_ok=True)

    def _path(self, key: str) -> Path:
        return self._root / _checked(key)

    def _put(self, path: Path, kept: Path) -> None:
        with _file_errors(kept.name):
            if kept.exists() and kept.samefile(path):
                return
            kept.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with scratch_file(self._root) as arriving:
                with arriving.open("wb") as copy, path.open("rb") as source:
                    shutil.copyfileobj(source, copy, PART_BYTES)
                    copy.flush()
                    os.fsync(copy.fileno())
                arriving.rename(kept)
            sync_folder(kept.parent)


class Bucket:
    """Objects of a bucket. Implements ``Store``. Uploads of more than 5 MiB go in parts, two at a time."""

    name = "s3"

    def __init__(
        self,
        bucket: str,
        region: str,
        *,
        endpoint: str = "",
        access_key: str = "",
        secret_key: str = "",
        prefix: str = "",
        timeout_seconds: float = 60.0,
    ) -> None:
        """``endpoint`` is empty for Amazon's own; ``prefix`` goes before every key. Connects to nothing.

        Without keys the environment's are used (AWS_ACCESS_KEY_ID ..., or those of the instance's role).
        """
        from obstore.store import S3Store  # noqa: PLC0415 - 20 MB that only this store needs

        config: S3Config = {"region": region, "virtual_hosted_style_request": not endpoint}
        if endpoint:
            config["endpoint"] = endpoint
        if access_key:
            config |= {"access_key_id": access_key, "secret_access_key": secret_key}
        timeout = timedelta(seconds=timeout_seconds)
        self._bucket = bucket
        self._store = S3Store(
            bucket,
            prefix=prefix or None,
            config=config,
            client_options={"allow_http": endpoint.startswith("http://"), "timeout": timeout},
            retry_config={"max_retries": 3, "retry_timeout": timeout},
        )

    async def put(self, path: Path, key: str) -> None:
        """See ``Store.put``."""
        import obstore  # noqa: PLC0415 - as above

        with self._errors(key):
            await obstore.put_async(
                self._store,
                _checked(key),
                path,
                attributes={"Content-Type": "audio/flac"},
                chunk_size=_UPLOAD_PART_BYTES,
                max_concurrency=_UPLOADS_AT_ONCE,
            )

    async def size(self, key: str) -> int:
        """See ``Store.size``."""
        import obstore  # noqa: PLC0415 - as above

        with self._errors(key):
            return (await obstore.head_async(self._store, _checked(key)))["size"]

    async def stream(self, key: str, begin: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """See ``Store.stream``."""
        import obstore  # noqa: PLC0415 - as above

        if end is not None and end <= begin:
            return
        wanted: GetOptions = {"range": {"offset": begin} if end is None else (begin, end)}
        with self._errors(key):
            found = await obstore.get_async(self._store, _checked(key), options=wanted)
            async for part in found.stream(min_chunk_size=PART_BYTES):
                yield bytes(part)

    async def delete(self, key: str) -> None:
        """See ``Store.delete``."""
        import obstore  # noqa: PLC0415 - as above

        with suppress(NotStored), self._errors(key):
            await obstore.delete_async(self._store, _checked(key))

    @contextmanager
    def _errors(self, key: str) -> Iterator[None]:
        from obstore.exceptions import BaseError, NotFoundError  # noqa: PLC0415 - as above

        try:
            yield
        except (NotFoundError, FileNotFoundError):
            raise NotStored(f"there is no recording {key} in the bucket {self._bucket}") from None
        except BaseError as error:
            raise StoreError(
                f"the bucket {self._bucket} cannot be used ({type(error).__name__}); check "
                "TRUNKLINE_RECORDINGS__S3__BUCKET, __ENDPOINT, __REGION, the keys, and the network"
            ) from None


def _checked(key: str) -> str:
    if not is_key(key):
        raise StoreError("a recording's key is made of plain names with / between them")
    return key


@contextmanager
def _file_errors(key: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise NotStored(f"there is no recording {key} in the folder of recordings") from None
    except OSError as error:
        raise StoreError(
            f"the folder of recordings cannot be used ({error.strerror}); check the space and the rights of "
            "<TRUNKLINE_DATA_DIR>/recordings"
        ) from None
