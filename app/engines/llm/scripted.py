"""The ``scripted`` language model: walks an agent's script. No model, no network, no state.

Where the conversation stands follows from the caller's messages and the tools' results alone: an assistant's
message holds only what the caller heard of a reply, so a reply cut short changes nothing.

The result of ``look_up`` is the found row as a JSON object; anything else counts as nothing found.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from app.engines.digits import count_digits, digit_runs, find_number, spaced
from app.engines.errors import RequestRefused
from app.engines.llm.matching import best_match
from app.engines.llm.script import DigitsSlot, Intent, Lookup, Script
from app.engines.ports import Delta, Expectation, Message, ReplyRequest, TextDelta, ToolCall

_LOOK_UP = "look_up"
_ENDINGS = {"hang_up": "end_call", "transfer": "transfer_call"}  # what follows an answer -> its tool
_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_TOKEN = re.compile(r"\s*\S+")
_NO_SCRIPT = Script()
_ATTEMPT_DIGITS = 3  # so many digits in a question are an attempt at the number; fewer are just words
_OVER_THE_QUESTION = 1.2  # the score from which another subject counts although digits were said too


class ScriptedLanguageModel:
    """Answers from ``request.script``, at once: 0.3 ms for a script of 100 phrases."""

    name = "scripted"

    async def start(self) -> None:
        """Nothing to load."""

    async def close(self) -> None:
        """Nothing to free."""

    @staticmethod
    def serves(request: ReplyRequest) -> bool:
        """Whether there is a script to answer from."""
        return request.script != _NO_SCRIPT

    async def reply(self, request: ReplyRequest) -> AsyncGenerator[Delta, None]:
        """The reply, a word at a time; an expectation comes before its question, a tool call last.

        It is the whole reply, whatever has been ``said`` of it. Tools that the request does not offer are not
        called. Raises ``RequestRefused``: there is no script.
        """
        if not self.serves(request):
            raise RequestRefused(self.name, "the agent has no script; add one, or name a language model")
        move, continues = _walk(request)
        if move is None:
            return
        tools = frozenset(tool.name for tool in request.tools)
        separator = " " if continues else ""
        for delta in _speak(request.script, move, tools):
            if separator and isinstance(delta, TextDelta):
                yield TextDelta(separator + delta.text)
                separator = ""
            else:
                yield delta


@dataclass(frozen=True, slots=True)
class _Move:
    """What the script does about one message of the caller's."""

    intent: str = ""  # empty: it fits none
    number: str = ""  # the slot's digits, once known
    asks: bool = False  # the number is asked for and still missing
    again: bool = False  # it was asked for, and what came was no such number
    digits: str = ""  # what came, where it may be the number's first half
    result: str | None = None  # of the tool
    told: bool = False  # the caller heard something of the result
    misses: int = 0  # messages in a row that fitted nothing, this one included


@dataclass(slots=True)
class _Walker:
    """Goes through the messages; ``move`` answers the caller's last one."""

    script: Script
    move: _Move | None = None
    answered: _Move | None = None  # the last move that was no miss, for "say that again"
    subject: str = ""  # the intent whose number was spoken of last

    def hear(self, text: str) -> None:
        """The caller's next words."""
        before = self.move or _Move()
        asks = before.asks or self._found_nothing(before)
        slot = self._slot(before.intent) if asks else None
        move = self._answer(text, before, slot) if slot is not None else self._open(text, before)
        if not move.intent and before.result is not None and not before.told:
            move = before  # the result is owed: the caller talked over it, but not about something else
        if move.intent and self.script.intents[move.intent].then == "repeat":
            move = replace(self.answered, again=False) if self.answered is not None else move
        if move.intent:
            self.answered = move
            self.subject = move.intent if self._slot(move.intent) is not None else self.subject
        self.move = move

    def learn(self, result: str) -> None:
        """What the tool found."""
        if self.move is not None:
            self.answered = self.move = replace(self.move, result=result, told=False)

    def spoke(self, text: str) -> None:
        """The caller heard this."""
        if text and self.move is not None and self.move.result is not None:
            self.answered = self.move = replace(self.move, told=True)

    def _slot(self, intent: str) -> DigitsSlot | None:
        return self.script.intents[intent].slot if intent else None

    def _found_nothing(self, move: _Move) -> bool:
        return move.result is not None and _row(move.result) is None

    def _answer(self, text: str, before: _Move, slot: DigitsSlot) -> _Move:
        """A number was asked for: it, a part of it, or another subject."""
        said = "".join(digit_runs(text))
        number = find_number(text, slot.length)
        if number is None and said and before.digits:
            number = find_number(before.digits + said, slot.length)  # said in two breaths
        if number is not None:
            return _Move(before.intent, number=number)
        other = best_match(text, self.script.intents)
        if other is not None and (not said or other.score >= _OVER_THE_QUESTION):
            return self._open(text, before)
        return _Move(before.intent, asks=True, again=True, digits=said)

    def _open(self, text: str, before: _Move) -> _Move:
        """Nothing particular was asked for."""
        match = best_match(text, self.script.intents)
        if match is None:
            return self._number_alone(text) or _Move(misses=before.misses + 1)
        slot = self._slot(match.intent)
        if slot is None:
            return _Move(match.intent)
        if (number := find_number(text, slot.length)) is not None:
            return _Move(match.intent, number=number)
        attempted = count_digits(text) >= min(_ATTEMPT_DIGITS, slot.length)
        said = "".join(digit_runs(text)) if attempted else ""
        return _Move(match.intent, asks=True, again=attempted, digits=said)

    def _number_alone(self, text: str) -> _Move | None:
        """A number without a question belongs to the subject that needed one last, or to the first such."""
        for name in (self.subject, *self.script.intents):
            slot = self._slot(name)
            if slot is not None and (number := find_number(text, slot.length)) is not None:
                return _Move(name, number=number)
        return None


def _walk(request: ReplyRequest) -> tuple[_Move | None, bool]:
    """The move to make now, and whether the reply continues one whose first part was spoken."""
    walker = _Walker(request.script)
    calls: dict[str, str] = {}  # tool call id -> tool
    continues = False
    for message in request.messages:
        if message.role == "user":
            walker.hear(message.text)
            continues = False
        elif message.role == "assistant":
            walker.spoke(message.text)
            calls |= {call.id: call.name for call in message.tool_calls}
            continues = bool(message.text)
        elif message.role == "tool":
            tool = calls.get(message.tool_call_id or "", "")
            if tool == _LOOK_UP:
                walker.learn(message.text)
            elif tool in _ENDINGS.values() and _is_last(message, request.messages):
                return None, False  # the sentence before it was the last one
    return walker.move, continues


def _is_last(message: Message, messages: Sequence[Message]) -> bool:
    return messages[-1] is message


def _speak(script: Script, move: _Move, tools: frozenset[str]) -> Iterator[Delta]:
    if not move.intent:
        yield from _tokens(script.no_match[min(move.misses, len(script.no_match)) - 1])
        return
    intent = script.intents[move.intent]
    slot, lookup = intent.slot, intent.lookup
    if slot is not None and move.asks:
        yield Expectation("digits", slot.length)
        yield from _tokens(slot.retry if move.again else slot.ask)
        return
    values = {slot.name: spaced(move.number)} if slot is not None else {}
    if slot is not None and lookup is not None and move.result is None and _LOOK_UP in tools:
        yield from _tokens(_filled(slot.read_back, values))
        arguments = {"table": lookup.table, "key": move.number}
        yield ToolCall(f"{_LOOK_UP}-{move.number}", _LOOK_UP, arguments)
        return
    yield from _answer(intent, lookup, move, values)
    ending = _ENDINGS.get(intent.then, "")
    if ending in tools:
        yield ToolCall(ending, ending, {})


def _answer(intent: Intent, lookup: Lookup | None, move: _Move, values: dict[str, str]) -> Iterator[Delta]:
    if lookup is None:
        yield from _tokens(_filled(intent.say, values))
        return
    row = _row(move.result or "")
    if row is not None:
        yield from _tokens(_filled(lookup.found, values | row))
        return
    if intent.slot is not None:
        yield Expectation("digits", intent.slot.length)
    yield from _tokens(_filled(lookup.missing, values))


def _row(result: str) -> dict[str, str] | None:
    """The found row of a tool's result; ``None``: nothing was found."""
    try:
        row: Any = json.loads(result)
    except ValueError:
        return None
    if not isinstance(row, dict) or not row or "error" in row:
        return None
    return {str(name): str(value) for name, value in row.items()}


def _filled(text: str, values: Mapping[str, str]) -> str:
    """The text with ``{name}`` replaced; a name that nothing is known of is left out."""
    return _PLACEHOLDER.sub(lambda found: values.get(found[1], ""), text)


def _tokens(text: str) -> Iterator[TextDelta]:
    for token in _TOKEN.findall(text.strip()):
        yield TextDelta(token)
