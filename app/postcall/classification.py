"""How a call ended up, and what is to be known of it, by an agent's rules. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from app.engines.digits import find_number
from app.engines.llm.matching import best_match, normalise
from app.postcall.record import FinishedCall
from app.voice.after_call import AskedField, Disposition


def disposition_of(call: FinishedCall) -> tuple[str | None, str]:
    """The first of the agent's dispositions that fits, and why; ``None`` where none does."""
    for disposition in call.profile.after.dispositions:
        reason = _fits(call, disposition)
        if reason:
            return disposition.name, reason
    return None, "no rule fits"


def fields_of(call: FinishedCall, finds: Mapping[str, Sequence[str | None]]) -> dict[str, Any]:
    """What the rules find of the fields that the agent asks for; ``None`` where they find nothing.

    ``finds``: of each field with a pattern, what that finds in the caller's words of each turn.
    """
    return {field.name: _found(call, field, finds.get(field.name)) for field in call.profile.after.fields}


def _fits(call: FinishedCall, disposition: Disposition) -> str:
    """Why a disposition fits; empty: it does not."""
    for tool in disposition.tools:
        if tool in call.tools:
            return f"the tool {tool} was used"
    for intent in disposition.intents:
        if any(_means(call, said.caller_text, intent) for said in call.said):
            return f"the caller's words fit the intent {intent}"
    for phrase in disposition.phrases:
        if any(contains(said.caller_text, phrase) for said in call.said):
            return "the caller said one of its phrases"
    if call.outcome in disposition.outcomes:
        return f"the outcome is {call.outcome}"
    return ""


def _means(call: FinishedCall, words: str, intent: str) -> bool:
    match = best_match(words, call.profile.script.intents) if words else None
    return match is not None and match.intent == intent


def contains(text: str, phrase: str) -> bool:
    """Whether a phrase's words stand in the text one after another, however they are written."""
    wanted, words = normalise(phrase), normalise(text)
    length = len(wanted)
    return bool(wanted) and any(
        words[begin : begin + length] == wanted for begin in range(len(words) - length + 1)
    )


def _found(call: FinishedCall, field: AskedField, finds: Sequence[str | None] | None) -> Any:
    for place, said in reversed(list(enumerate(call.said))):
        text = _slot(call, field.slot, said.caller_text) if field.slot else None
        if text is None and finds is not None:
            text = finds[place]
        if text is None and field.choices:
            text = next((choice for choice in field.choices if contains(said.caller_text, choice)), None)
        value = None if text is None else _typed(text, field)
        if value is not None:
            return value
    return None


def _slot(call: FinishedCall, slot: str, text: str) -> str | None:
    asked = [intent.slot for intent in call.profile.script.intents.values() if intent.slot]
    lengths = sorted({each.length for each in asked if each.name == slot}, reverse=True)
    return next((number for length in lengths if (number := find_number(text, length))), None)


def _typed(text: str, field: AskedField) -> Any:
    """The text as the field's type; ``None`` where it is none."""
    match field.type:
        case "integer":
            return int(text) if text.isdecimal() else None
        case "number":
            return float(text) if re.fullmatch(r"\d+(\.\d+)?", text) else None
        case "text" | "choice":
            return text
        case _:
            return None
