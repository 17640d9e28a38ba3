"""Fetches a model: all of its files into a folder aside, checked, and only then into its place."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2

from app.engines.supply.archive import BadArchive, unpack
from app.engines.supply.catalogue import Model, ModelFile, Source
from app.engines.supply.download import NotDownloaded, Progress, download
from app.engines.supply.shelf import Fingerprint, difference, write_lock

_ASIDE = ".fetching"
_SPARE_BYTES = 100 << 20


class ModelNotFetched(Exception):
    """A model could not be fetched. The message says which file, from where, and how to do without."""


def fetch(client: httpx2.Client, model: Model, models: Path, progress: Callable[[str], Progress]) -> Path:
    """Put the model into ``models/<name>``, which is the result; what is there already is replaced at once.

    ``progress`` gives the function that is told of a file's bytes. What came before a break is kept for the
    next time. Raises ``ModelNotFetched``.
    """
    place = models / model.name
    aside = models / _ASIDE / model.name
    try:
        aside.mkdir(parents=True, exist_ok=True)
        with _alone(model, models):
            _check_room(model, models)
            for source in (model.archive,) if model.archive else model.files:
                _bring(client, model, source, aside, place, progress(_label(source)))
            whole = _unpacked(model, model.archive, aside, place) if model.archive else _files(model, aside)
            write_lock(model, whole)
            _put_in_place(whole, place)
            shutil.rmtree(aside, ignore_errors=True)
    except OSError as error:
        raise ModelNotFetched(
            f"{model.name}: cannot write to {error.filename or models} ({error.strerror}); make room or "
            "permission there, or set TRUNKLINE_DATA_DIR to another folder"
        ) from None
    return place


def _bring(
    client: httpx2.Client, model: Model, source: Source, aside: Path, place: Path, progress: Progress
) -> None:
    """One source into the folder aside. Raises ``ModelNotFetched``."""
    target = aside / _label(source)
    target.parent.mkdir(parents=True, exist_ok=True)
    if _have(source, target, place / _label(source)):
        return
    try:
        download(client, source, target, progress)
    except NotDownloaded as error:
        raise ModelNotFetched(_by_hand(model, source, place, str(error))) from None


def _files(model: Model, aside: Path) -> Path:
    """The folder with the model's files and nothing else: no remains of a broken download."""
    wanted = {aside / file.path for file in model.files}
    for path in aside.rglob("*"):
        if path.is_file() and path not in wanted:
            path.unlink()
    return aside


def _unpacked(model: Model, source: Source, aside: Path, place: Path) -> Path:
    """The folder with the archive's files; the archive stays until they are in their place.

    Raises ``ModelNotFetched``.
    """
    whole = aside.with_name(f"{aside.name}.unpacked")
    shutil.rmtree(whole, ignore_errors=True)
    whole.mkdir()
    try:
        unpack(aside / _label(source), whole)
    except BadArchive as error:
        shutil.rmtree(whole)
        shutil.rmtree(aside)
        raise ModelNotFetched(_by_hand(model, source, place, f"the archive {error}")) from None
    return whole


def _have(source: Source, target: Path, placed: Path) -> bool:
    """Whether it is aside already, or intact in its place, from where it is taken."""
    told = Fingerprint(source.bytes, source.sha256, source.md5)
    if not told.known:
        return False
    if not difference(target, told):
        return True
    if difference(placed, told):
        return False
    shutil.copyfile(placed, target)
    return True


def _put_in_place(aside: Path, place: Path) -> None:
    former = aside.with_name(f"{aside.name}.former")
    shutil.rmtree(former, ignore_errors=True)
    if place.exists():
        place.rename(former)
    aside.rename(place)
    shutil.rmtree(former, ignore_errors=True)


def _check_room(model: Model, models: Path) -> None:
    free = shutil.disk_usage(models).free
    needed = model.bytes * (3 if model.archive else 1) + _SPARE_BYTES
    if free < needed:
        raise ModelNotFetched(
            f"{model.name} needs {needed >> 20} MB in {models}, where {free >> 20} MB are free; make room, "
            "or set TRUNKLINE_DATA_DIR to another disk"
        )


@contextmanager
def _alone(model: Model, models: Path) -> Iterator[None]:
    """Raises ``ModelNotFetched`` when the same model is being fetched by another process."""
    with (models / _ASIDE / f"{model.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ModelNotFetched(f"{model.name} is being fetched by another process; wait for it") from None
        yield
        Path(lock.name).unlink(missing_ok=True)


def _label(source: Source) -> str:
    return source.path if isinstance(source, ModelFile) else source.url.rsplit("/", maxsplit=1)[-1]


def _by_hand(model: Model, source: Source, place: Path, problem: str) -> str:
    match source:
        case ModelFile(path=path):
            rest = f"put it at {place / path}"
        case _:
            rest = f"unpack it so that its files are in {place}"
    return (
        f"{model.name}: {_label(source)} did not come from {source.url}: {problem}. Try again later, or get "
        f"it where the network allows it and {rest}; proxies are taken from HTTPS_PROXY"
    )
