"""Apertium on this machine: its pairs of languages, and the processes that translate."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

import structlog

from app.engines.errors import EngineError, EngineTimeout, EngineUnavailable, RequestRefused
from app.engines.mt.apertium_pipeline import NAME, Pipeline, command_line
from app.engines.mt.apertium_text import modes, no_pair

_PROCESSES = 2  # chains of a pair: a phrase takes 2 ms, so that the second is for a phrase behind a slow one
_ANSWER_SECONDS = 2.0
_LOADING_SECONDS = 10.0  # of a new chain, which loads its dictionaries: 0.15 s, more from a cold disk
_HUNG_SECONDS = 0.5  # a cancelled phrase that has taken so long takes its processes with it

log = structlog.get_logger(__name__)


class ApertiumCommand:
    """Translates with Apertium's own programs, started for a pair when it is first asked for."""

    def __init__(self) -> None:
        self._modes: dict[str, Path] = {}
        self._chains: dict[str, _Chains] = {}

    @property
    def pids(self) -> tuple[int, ...]:
        """The process groups that wait for a phrase."""
        return tuple(pid for chains in self._chains.values() for pid in chains.pids)

    async def start(self) -> None:
        """Find the pairs. Raises ``EngineUnavailable``: no Apertium, or no pair."""
        self._modes = await asyncio.to_thread(_installed)

    async def close(self) -> None:
        """End all processes; phrases being translated end with ``EngineError``."""
        self._modes = {}
        running, self._chains = list(self._chains.values()), {}
        for chains in running:
            await chains.close()

    async def translate(self, piece: str, source: str, target: str) -> str:
        """The translation of a piece. Raises ``EngineError``, ``EngineTimeout``."""
        if not self._modes:
            raise EngineError(NAME, "it is not running")
        mode = next((name for name in modes(source, target) if name in self._modes), None)
        if mode is None:
            raise RequestRefused(NAME, no_pair(source, target))
        if mode not in self._chains:
            command = await asyncio.to_thread(_command, self._modes[mode])
            if mode not in self._modes:  # closed meanwhile
                raise EngineError(NAME, "it is not running")
            self._chains.setdefault(mode, _Chains(mode, command))
        return await self._chains[mode].translate(piece)


class _Chains:
    """The processes of one pair: each serves one phrase at a time, and a bad one is replaced."""

    def __init__(self, mode: str, command: str) -> None:
        self._mode, self._command = mode, command
        self._places = asyncio.Semaphore(_PROCESSES)
        self._idle: list[Pipeline] = []
        self._busy: set[Pipeline] = set()
        self._ended: list[Pipeline] = []  # to be waited for
        self._closed = False

    @property
    def pids(self) -> tuple[int, ...]:
        return tuple(pipeline.pid for pipeline in self._idle)

    async def translate(self, piece: str) -> str:
        async with self._places:
            await self._reap()
            pipeline = self._take_idle() or await Pipeline.start(self._command)
            if self._closed:
                await pipeline.stop()
                raise EngineError(NAME, "it is not running")
            self._busy.add(pipeline)
            return await self._ask(pipeline, piece)

    async def close(self) -> None:
        self._closed = True
        for pipeline in (*self._idle, *self._busy):
            await pipeline.stop()
        self._idle.clear()
        await self._reap()

    def _take_idle(self) -> Pipeline | None:
        while self._idle:
            pipeline = self._idle.pop()
            if pipeline.alive:
                return pipeline
            self._ended.append(pipeline)
        return None

    async def _ask(self, pipeline: Pipeline, piece: str) -> str:
        loop = asyncio.get_running_loop()
        began, usable = loop.time(), False
        seconds = _LOADING_SECONDS if pipeline.fresh else _ANSWER_SECONDS
        try:
            async with asyncio.timeout(seconds):
                answer = await pipeline.translate(piece)
            usable = True
        except TimeoutError:
            raise EngineTimeout(NAME, f"no translation within {seconds:g} s") from None
        except asyncio.CancelledError:
            usable = loop.time() - began < _HUNG_SECONDS
            raise
        finally:
            self._busy.discard(pipeline)
            if usable and not self._closed:
                self._idle.append(pipeline)
            else:
                pipeline.kill()
                self._ended.append(pipeline)
                if not self._closed:
                    log.warning("translator_replaced", engine=NAME, pair=self._mode)
        return answer

    async def _reap(self) -> None:
        while self._ended:
            await self._ended.pop().stop()


def _installed() -> dict[str, Path]:
    """The mode files by name. Raises ``EngineUnavailable``."""
    command = shutil.which(NAME)
    if command is None:
        raise EngineUnavailable(
            NAME,
            "the command apertium is not installed; install the Debian packages apertium and a pair such as "
            "apertium-eng-spa, or set TRUNKLINE_ENGINES__APERTIUM__URL to an apertium-apy server",
        )
    data = os.environ.get("APERTIUM_DATADIR") or Path(command).resolve().parents[1] / "share" / NAME
    found = {path.stem: path for path in Path(data, "modes").glob("*-*.mode")}
    if not found:
        raise EngineUnavailable(
            NAME,
            f"no pair of languages in {Path(data, 'modes')}; install the Debian package of a pair, such as "
            "apertium-eng-spa, or set APERTIUM_DATADIR to where they are",
        )
    return found


def _command(mode: Path) -> str:
    try:
        return command_line(mode.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EngineError(
            NAME, f"the mode {mode} cannot be used ({error}); install its package again", retryable=False
        ) from None
