"""Streams of recognisers that decode audio as it comes: what is pushed waits here for its stream's turn.

Each segment has a session of its own with the engine, which hears its audio piece by piece, in order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np

from app.engines.errors import EngineError
from app.engines.ports import EMPTY, LOST, Expectation, RecogniserStream, Transcript
from app.engines.stt.pooled import PooledRecogniser
from telephony.media.frame import SAMPLE_RATE, Samples

_BATCH_SAMPLES = SAMPLE_RATE // 10  # worth a turn
_TURN_SAMPLES = SAMPLE_RATE  # decoded in one turn at most, so that a stream that is behind delays no other

SessionT = TypeVar("SessionT")


@dataclass(frozen=True, slots=True)
class Piece(Generic[SessionT]):
    """The next audio of a segment; ``last``: of all of it."""

    session: SessionT
    samples: Samples
    last: bool


@dataclass(slots=True)
class _Segment(Generic[SessionT]):
    """A segment that its session hears in pieces; where one fails, nothing more of it is heard."""

    session: SessionT
    finished: bool = False
    held: int = 0  # samples waiting
    _waiting: deque[Samples] = field(default_factory=deque)
    _begun: bool = False
    _lost: bool = False
    _told: str = ""

    @property
    def due(self) -> bool:
        return self.finished or self.held >= _BATCH_SAMPLES

    def push(self, samples: Samples) -> None:
        if not self._lost:
            self._waiting.append(samples)
            self.held += samples.size

    def next_job(self) -> Piece[SessionT] | None:
        if self._lost or not (self.held or (self._begun and self.finished)):
            return None
        self._begun = True
        samples = _take(self._waiting, _TURN_SAMPLES)
        self.held -= samples.size
        return Piece(self.session, samples, self.finished and not self.held)

    def hear(self, piece: Piece[SessionT], answer: Transcript | EngineError) -> Transcript | None:
        if isinstance(answer, EngineError):
            self._lost = True
            self._waiting.clear()
            self.held = 0
        elif piece.last:
            return answer
        elif answer.text and answer.text != self._told and not self.finished:
            self._told = answer.text
            return answer
        return None

    def final(self) -> Transcript:
        return LOST if self._lost else EMPTY


class IncrementalRecogniser(PooledRecogniser[Piece[SessionT], Transcript]):
    """What such recognisers have in common. Their pools decode pieces.

    An answer is the transcript so far, final for the last piece.
    """

    def _hearing(
        self,
        new_session: Callable[[Expectation | None], SessionT],
        sink: Callable[[Transcript], None],
    ) -> RecogniserStream:
        """A stream for one leg; ``new_session`` is called on the event loop for each segment.

        Raises ``EngineError`` where the engine was not started.
        """
        return self._stream(lambda expectation: _Segment(new_session(expectation)), sink)


def _take(waiting: deque[Samples], most: int) -> Samples:
    """The oldest audio, at most so many samples of it."""
    pieces: list[Samples] = []
    size = 0
    while waiting and size < most:
        piece = waiting.popleft()
        if size + piece.size > most:
            waiting.appendleft(piece[most - size :])
            piece = piece[: most - size]
        pieces.append(piece)
        size += piece.size
    return np.concatenate(pieces) if pieces else np.empty(0, dtype=np.int16)
