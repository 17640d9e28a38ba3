"""A running chain of Apertium's programs for one pair of languages, which serves one phrase after another.

The programs are those of the pair's mode file, each with ``-z``: a NUL ends a phrase, in and out. The command
``apertium -z`` would start the same, but its gawk holds back each answer until the next phrase comes. After
every phrase a numbered blank (``[7]``), which no program touches, shows where its answer ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shlex
import signal
import socket
import subprocess
from dataclasses import dataclass

from app.engines.errors import EngineError
from app.engines.mt.apertium_text import escape, unescape

NAME = "apertium"
_ANSWER_BYTES = 1 << 20
_STOP_SECONDS = 2.0
_MARKER = re.compile(rb"\s*\[\d+\]\s*")


def command_line(mode: str) -> str:
    """The shell command of a mode file's text, in null-flush mode, unknown words unmarked.

    Raises ``ValueError`` when the text is no mode.
    """
    words = shlex.shlex(mode, posix=True, punctuation_chars="|")
    words.whitespace_split = True
    programs: list[list[str]] = [[]]
    for word in words:
        if word == "|":
            programs.append([])
        elif word == "$1":
            programs[-1].append("-n")  # how the last program generates: without marks
        elif word != "$2":
            programs[-1].append(word)
    if not all(programs):
        raise ValueError("a program is missing")
    return " | ".join(shlex.join([program[0], "-z", *program[1:]]) for program in programs)


@dataclass(frozen=True, slots=True)
class _Started:
    process: subprocess.Popen[bytes]
    end: socket.socket


class Pipeline:
    """One chain of processes. Ask it one thing at a time; an answer that nobody waits for is dropped."""

    def __init__(
        self, process: subprocess.Popen[bytes], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._process, self._reader, self._writer = process, reader, writer
        self._asked = 0

    @classmethod
    async def start(cls, command: str) -> Pipeline:
        """Start the chain; it loads its dictionaries, 0.15 s, with the first phrase."""
        spawning = asyncio.get_running_loop().run_in_executor(None, _spawn, command)
        try:
            started = await asyncio.shield(spawning)
        except asyncio.CancelledError:
            abandoned = await spawning
            abandoned.end.close()
            await asyncio.to_thread(_stop, abandoned.process)
            raise
        reader, writer = await asyncio.open_connection(sock=started.end, limit=_ANSWER_BYTES)
        return cls(started.process, reader, writer)

    @property
    def pid(self) -> int:
        """The process group of the chain."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it can be asked."""
        return not self._reader.at_eof() and not self._writer.is_closing()

    @property
    def fresh(self) -> bool:
        """Nothing has been asked of it."""
        return not self._asked

    async def translate(self, piece: str) -> str:
        """The translation of a piece. Raises ``EngineError``; the chain is of no more use then."""
        self._asked += 1
        marker = b"[%d]" % self._asked
        self._writer.write(escape(piece).encode("utf-8", "ignore") + b"\0" + marker + b"\0")
        answer = b""
        try:
            while True:
                part = (await self._reader.readuntil(b"\0"))[:-1]
                if part.strip() == marker:
                    return unescape(answer.decode("utf-8", "replace"))
                answer = b"" if _MARKER.fullmatch(part) else part
        except (asyncio.IncompleteReadError, ConnectionError):
            raise EngineError(NAME, "its processes ended while they translated") from None
        except asyncio.LimitOverrunError:
            raise EngineError(NAME, f"a translation of more than {_ANSWER_BYTES} bytes") from None

    def kill(self) -> None:
        """End the processes at once; ``stop`` waits for their end."""
        self._writer.transport.abort()
        _kill(self._process)

    async def stop(self) -> None:
        """End the processes and wait for it."""
        self._writer.transport.abort()
        await asyncio.to_thread(_stop, self._process)


def _spawn(command: str) -> _Started:
    """Start the chain in a process group of its own; a few milliseconds, so not on the event loop."""
    parent_end, child_end = socket.socketpair()
    try:
        parent_end.setblocking(False)
        process = subprocess.Popen(  # noqa: S603 - quoted words of a mode file that Apertium installed
            ["/bin/sh", "-c", command],
            stdin=child_end.fileno(),
            stdout=child_end.fileno(),
            stderr=subprocess.DEVNULL,  # it may quote a phrase
            env=os.environ | {"LC_ALL": "C.UTF-8"},
            start_new_session=True,
        )
    except BaseException:
        parent_end.close()
        raise
    finally:
        child_end.close()
    return _Started(process, parent_end)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Wait for a chain whose connection is closed, and kill it if it does not end."""
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        _kill(process)
        process.wait()


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):  # it ends meanwhile
            os.killpg(process.pid, signal.SIGKILL)
