"""Which engine of a list a call is with; what the lists of the ports have in common."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Generic, TypeAlias, TypeVar

from app.engines.errors import EngineError, EngineTimeout
from app.engines.fallback.candidate import Candidate, Standing
from app.engines.fallback.roster import Note, Roster
from app.engines.patience import Patience
from app.engines.ports import Engine
from app.engines.timing import WaitLimit

E = TypeVar("E", bound=Engine)
T = TypeVar("T")

Begun: TypeAlias = tuple[AsyncGenerator[T, None], T | None]
"""What an engine gives, and its first piece; ``None``: it gives nothing."""


class Fallback(Generic[E]):
    """A list of engines as one engine of the process."""

    def __init__(self, roster: Roster[E]) -> None:
        self.roster = roster

    @property
    def name(self) -> str:
        """The name of the engine that is asked first."""
        return self.roster.name

    @property
    def standings(self) -> list[Standing]:
        """How each engine does."""
        return self.roster.standings

    async def start(self) -> None:
        """Start all, and ask each for something small. Raises ``EngineUnavailable``."""
        await self.roster.start()
        await self.roster.check()

    async def close(self) -> None:
        """Close all."""
        await self.roster.close()

    async def watch(self) -> None:
        """Try engines that were given up, until cancelled."""
        await self.roster.watch()


class Choice(Generic[E]):
    """A call stays with the engine that it was moved to, while that works. ``note``: the call's record."""

    def __init__(self, roster: Roster[E], note: Note) -> None:
        self.roster = roster
        self.current = roster.candidates[0]
        self._note = note

    @property
    def name(self) -> str:
        """The name of the engine that the call is with."""
        return self.current.engine.name

    def best(self, tried: Sequence[Candidate[E]] = ()) -> Candidate[E]:
        """The engine to ask next: the call's, or another where that one was given up or is in ``tried``."""
        if not self.current.usable or self.current in tried:
            self._move(self.roster.next(self.current, tried))
        return self.current

    def other(self, asked: Candidate[E], tried: Sequence[Candidate[E]]) -> bool:
        """Whether an engine that has not been ``tried`` could take over from the one that is asked."""
        return self.roster.next(asked, tried) is not None

    def after(
        self, failed: Candidate[E], error: EngineError, tried: list[Candidate[E]]
    ) -> Candidate[E] | None:
        """The engine has failed a use of it, as those in ``tried`` have: the next one, or ``None``.

        It is the same once more where there is no other, and it failed at once. Another use of the call may
        have moved it already.
        """
        again = failed not in tried and error.retryable and not isinstance(error, EngineTimeout)
        self.roster.failed(failed, error)
        tried.append(failed)
        if self.current.usable and self.current not in tried:
            return self.current
        chosen = self.roster.next(failed, tried)
        if chosen is None:
            return failed if again and failed.usable else None
        self._move(chosen)
        return chosen

    def _move(self, chosen: Candidate[E] | None) -> None:
        if chosen is not None:
            self.roster.switched(self.current, chosen, self._note)
            self.current = chosen


def _as_long_as_it_takes() -> None:
    return None


class CallEngine(Generic[E]):
    """A list of engines as one call uses it."""

    def __init__(self, roster: Roster[E], note: Note) -> None:
        self.choice = Choice(roster, note)

    @property
    def name(self) -> str:
        """The name of the engine that the call is with."""
        return self.choice.name

    async def start(self) -> None:
        """The engines are the process's."""

    async def close(self) -> None:
        """The engines are the process's."""

    async def _pieces(
        self,
        candidate: Candidate[E],
        tried: Sequence[Candidate[E]],
        asking: Awaitable[Begun[T]],
        alone: Callable[[], float | None] = _as_long_as_it_takes,
    ) -> AsyncGenerator[T, None]:
        """What one engine gives, as it comes. Raises ``EngineError``, also when some of it is late.

        ``tried``: what cannot take over from it. ``alone``: seconds that the next piece may take where
        nothing can, and no less than with another; ``None``: as long as the engine itself allows.
        """
        other = self.choice.other(candidate, tried)

        def limit(usual: float) -> float | None:
            longest = usual if other else alone()
            return None if longest is None else max(usual, longest)

        name, first = candidate.engine.name, candidate.first
        loop = asyncio.get_running_loop()
        asked, usual = loop.time(), candidate.gap.timeout
        pieces, piece = await within(limit(first.timeout), first, name, asking)
        gaps = _Gaps(candidate)
        try:
            if piece is not None:
                candidate.answered(loop.time() - asked)
            while piece is not None:
                yield piece
                piece = await gaps.next(pieces, limit(usual))
        except GeneratorExit:  # it has given all that was taken
            candidate.succeeded()
            raise
        else:
            candidate.succeeded()
        finally:
            gaps.close()
            await pieces.aclose()


class _Gaps:
    """Waits for what follows the first piece of an engine's answer. Close it when the answer is over."""

    def __init__(self, candidate: Candidate[E]) -> None:
        self._name, self._patience = candidate.engine.name, candidate.gap
        self._loop = asyncio.get_running_loop()
        self._limit = WaitLimit()
        self._longest = 0.0

    async def next(self, pieces: AsyncGenerator[T, None], seconds: float | None) -> T | None:
        """The next piece, within so many seconds; ``None``: there are no more.

        Raises ``EngineTimeout`` and what the engine does.
        """
        began = self._loop.time()
        following = anext(pieces, None)
        if seconds is None:
            piece = await following
        else:
            try:
                piece = await self._limit.wait(following, seconds)
            except TimeoutError:
                raise _late(self._patience, self._name, seconds) from None
        self._longest = max(self._longest, self._loop.time() - began)
        return piece

    def close(self) -> None:
        """Remember the longest gap."""
        self._limit.close()
        if self._longest:
            self._patience.observe(self._longest)


async def begun(pieces: AsyncGenerator[T, None]) -> Begun[T]:
    """Have the first piece made."""
    return pieces, await anext(pieces, None)


async def tasted(pieces: AsyncGenerator[T, None]) -> None:
    """Have the first piece made, and no more."""
    async with aclosing(pieces):
        await anext(pieces, None)


async def within(seconds: float | None, patience: Patience, engine: str, work: Awaitable[T]) -> T:
    """The work's result. Raises ``EngineTimeout`` when it takes longer; ``None``: as long as it takes."""
    try:
        async with asyncio.timeout(seconds):
            return await work
    except TimeoutError:
        raise _late(patience, engine, seconds or 0.0) from None


def _late(patience: Patience, engine: str, seconds: float) -> EngineTimeout:
    """The error of an engine that gave nothing for so long, which it is given more of next time."""
    patience.observe(seconds)
    return EngineTimeout(engine, f"it gave nothing for {seconds:.2f} s")
