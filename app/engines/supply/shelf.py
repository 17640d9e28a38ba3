"""The models on this machine: which there are, and whether they are as they were fetched.

Beside a fetched model lies ``trunkline.lock.json`` with the size and hash of each of its files. It finds
damage, not deceit: whoever can change a model can change the lock.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from app.engines.supply.catalogue import Model, ModelFile

LOCK = "trunkline.lock.json"


@dataclass(frozen=True, slots=True)
class Condition:
    """How a model is. ``unverified``: all there, but nothing says what it should be."""

    state: Literal["absent", "intact", "unverified", "damaged"]
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What a file is, or should be; an empty hash or no size: not known."""

    bytes: int | None
    sha256: str = ""
    md5: str = ""

    @property
    def known(self) -> bool:
        """Whether there is a hash to compare with."""
        return bool(self.sha256 or self.md5)


def condition(model: Model, models: Path, *, thorough: bool = True) -> Condition:
    """How the model is in the folder ``models``.

    ``thorough`` reads all of it, a second a gigabyte; otherwise sizes alone are compared.
    """
    folder = models / model.name
    if not folder.is_dir():
        return Condition("absent")
    locked = read_lock(folder)
    expected = locked or {file.path: _pinned(file) for file in model.files}
    for file in model.files:
        expected.setdefault(file.path, Fingerprint(None))
    certain = bool(expected) and all(told.known for told in expected.values())
    if not thorough:
        expected = {path: Fingerprint(told.bytes) for path, told in expected.items()}
    problems = [problem for path, told in expected.items() if (problem := difference(folder / path, told))]
    if problems:
        return Condition("damaged", tuple(problems))
    return Condition("intact" if certain else "unverified")


def difference(path: Path, told: Fingerprint) -> str:
    """What is wrong with a file; nothing: it is what it should be, as far as that is known."""
    if not path.is_file():
        return f"{path.name} is missing"
    size = path.stat().st_size
    if told.bytes is not None and size != told.bytes:
        return f"{path.name} has {size} bytes instead of {told.bytes}"
    for kind, wanted in (("sha256", told.sha256), ("md5", told.md5)):
        if wanted and (found := digest(path, kind)) != wanted:
            return f"{path.name} has the {kind} {found} instead of {wanted}"
    return ""


def digest(path: Path, kind: str = "sha256") -> str:
    """A file's hash, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, kind).hexdigest()


def read_lock(folder: Path) -> dict[str, Fingerprint]:
    """What the model's files were when they were fetched; nothing without a lock, or with a broken one."""
    try:
        content: Any = json.loads((folder / LOCK).read_text(encoding="utf-8"))
        files = content["files"].items()
        return {str(path): Fingerprint(int(told["bytes"]), str(told["sha256"])) for path, told in files}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}


def write_lock(model: Model, folder: Path) -> None:
    """Write down what the files of a model that was just fetched are."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != LOCK)
    files = {
        path.relative_to(folder).as_posix(): {"bytes": path.stat().st_size, "sha256": digest(path)}
        for path in paths
    }
    content = {"model": model.name, "source": model.source, "licence": model.licence, "files": files}
    (folder / LOCK).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _pinned(file: ModelFile) -> Fingerprint:
    """What the catalogue says of a file."""
    return Fingerprint(file.bytes, file.sha256, file.md5)
