"""A worker process of the pocketsphinx recogniser: the decoders of several streams, one message at a time."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from app.engines.stt.domain import Pronunciations, build_domain, read_pronunciations
from app.engines.stt.pocketsphinx_decoder import Ear, dictionary_path
from app.engines.stt.pocketsphinx_messages import (
    AUDIO,
    CLOSE,
    EXPECT,
    EXPECTED,
    FINAL,
    FINISH,
    HEARD,
    ID,
    INTERIM,
    OPEN,
    OPENED,
    PREPARE,
    PREPARED,
    RESULT,
    TAKEN,
)
from app.engines.wire import FAILED, READY, Connection, connect

_SPARE_EARS = 2  # made in advance for a domain, when nothing else is to be done
_WARM_DOMAINS = 8  # the ones used last; others make their ears when they are needed
_IDLE_SECONDS = 0.05


@dataclass(slots=True)
class _Domain:
    dictionary: Path
    model: Path
    spare: list[Ear] = field(default_factory=list)

    def ear(self) -> Ear:
        return self.spare.pop() if self.spare else Ear(self.dictionary, self.model)


class _Service:
    """Answers messages until the parent is gone."""

    def __init__(self, connection: Connection, folder: Path, known: Pronunciations) -> None:
        self._connection, self._folder, self._known = connection, folder, known
        self._domains: dict[int, _Domain] = {}
        self._ears: dict[int, tuple[Ear, _Domain]] = {}

    def run(self) -> None:
        while self._connection.open:
            warm = list(self._domains.values())[-_WARM_DOMAINS:]
            wanting = [domain for domain in warm if len(domain.spare) < _SPARE_EARS]
            messages = self._connection.receive(_IDLE_SECONDS if wanting else None)
            if not messages and wanting and self._connection.open:
                wanting[0].spare.append(Ear(wanting[0].dictionary, wanting[0].model))
            for kind, body in messages:
                self._take(kind, body)

    def _take(self, kind: int, body: bytes) -> None:
        (number,) = ID.unpack_from(body)
        if kind == PREPARE:
            self._prepare(number, json.loads(body[ID.size :]))
            return
        if kind == OPEN:
            self._open(number, OPENED.unpack(body)[1])
            return
        if number not in self._ears:
            return  # closed meanwhile
        ear, domain = self._ears[number]
        if kind == AUDIO:
            self._hear(number, ear, body)
        elif kind == EXPECT:
            ear.expect(EXPECTED.unpack(body)[1])
        elif kind == FINISH:
            text, confidence = ear.finish()
            self._connection.send(FINAL, RESULT.pack(number, confidence) + text.encode())
        elif kind == CLOSE:
            del self._ears[number]
            ear.finish()
            ear.reset()
            if len(domain.spare) < _SPARE_EARS:
                domain.spare.append(ear)

    def _hear(self, stream: int, ear: Ear, body: bytes) -> None:
        samples = np.frombuffer(body, dtype=np.int16, offset=ID.size)
        interim = ear.hear(samples)
        self._connection.send(HEARD, TAKEN.pack(stream, samples.size))
        if interim is not None:
            self._connection.send(INTERIM, RESULT.pack(stream, 0.0) + interim.encode())

    def _open(self, stream: int, number: int) -> None:
        domain = self._domains.pop(number)
        self._domains[number] = domain  # now the last one used
        for old in tuple(self._domains.values())[:-_WARM_DOMAINS]:
            old.spare.clear()
        self._ears[stream] = (domain.ear(), domain)

    def _prepare(self, number: int, phrases: list[str]) -> None:
        domain = build_domain(phrases, self._known)
        dictionary, model = self._folder / f"{number}.dict", self._folder / f"{number}.arpa"
        dictionary.write_text(domain.dictionary, encoding="utf-8")
        model.write_text(domain.arpa, encoding="utf-8")
        self._domains[number] = _Domain(dictionary, model)
        self._domains[number].spare.append(Ear(dictionary, model))
        self._connection.send(PREPARED, ID.pack(number) + json.dumps(domain.missing).encode())


def main() -> None:
    """Serve until the parent closes the connection."""
    connection = connect()
    try:
        with dictionary_path().open(encoding="utf-8") as lines:
            known = read_pronunciations(lines)
    except OSError as error:
        connection.send(FAILED, f"its English model is missing: {error}".encode())
        return
    connection.send(READY)
    with tempfile.TemporaryDirectory(prefix="trunkline-pocketsphinx-") as folder:
        _Service(connection, Path(folder), known).run()


if __name__ == "__main__":
    main()
