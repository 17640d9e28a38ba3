"""The patterns that agents' fields are looked for by, in a process of their own.

A pattern such as ``(\\w+\\s?)+#`` takes years for a sentence, and ``re`` can be neither bounded nor
interrupted: on the worker's event loop nothing else would ever be done.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.postcall import pattern_worker
from app.postcall.steps import StepFailed
from app.voice.after_call import AskedField

_COMMAND = (sys.executable, "-I", "-S", pattern_worker.__file__)
_TOO_LONG = (-signal.SIGXCPU, -signal.SIGKILL)


@dataclass(frozen=True, slots=True)
class _Question:
    field: AskedField
    texts: Sequence[str]
    whole: bool = False


async def find_patterns(fields: Sequence[AskedField], texts: Sequence[str]) -> dict[str, list[str | None]]:
    """What each field's pattern finds last in each text, by field. Raises ``StepFailed``."""
    questions = [_Question(field, texts) for field in fields if field.pattern]
    found = await _answers(questions)
    return {question.field.name: answer for question, answer in zip(questions, found, strict=True)}


async def mismatch(fields: Sequence[AskedField], values: Mapping[str, Any]) -> str:
    """Which value does not match the whole of its field's pattern; empty: all do. Raises ``StepFailed``."""
    questions = [
        _Question(field, [str(values[field.name])], whole=True)
        for field in fields
        if field.pattern and values.get(field.name) is not None
    ]
    for question, (found,) in zip(questions, await _answers(questions), strict=True):
        if found is None:
            return f"fields.{question.field.name} does not match {question.field.pattern}"
    return ""


async def _answers(questions: Sequence[_Question]) -> list[list[str | None]]:
    if not questions:
        return []
    process = await asyncio.create_subprocess_exec(*_COMMAND, stdin=PIPE, stdout=PIPE, stderr=DEVNULL)
    try:
        asked = [(one.field.pattern, list(one.texts), one.whole) for one in questions]
        output, _ = await process.communicate(json.dumps(asked).encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    answers = [json.loads(line) for line in output.splitlines()]
    if process.returncode:
        _refuse(questions[len(answers)].field, process.returncode)
    return answers


def _refuse(field: AskedField, status: int) -> None:
    """Raises ``StepFailed``."""
    if status in _TOO_LONG:
        problem = f"took longer than {pattern_worker.CPU_SECONDS} s; write it without a repetition in another"
    else:
        problem = "could not be looked for; check it"
    raise StepFailed(f"the pattern of the field {field.name!r} of the agent {problem}", final=True)
