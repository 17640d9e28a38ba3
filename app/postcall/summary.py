"""A summary without a language model: what was asked and done, and how it ended, in the words of the call.

Pure. It claims nothing that is not in the record: wishes by the names of the script's intents and as they
were said, answers as they were heard, tools by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from app.engines.llm.matching import best_match
from app.engines.llm.script import Intent
from app.postcall.record import FinishedCall

LONGEST = 200
"""Characters of one quotation."""

MOST_WISHES = 5

_ENDS = {
    "agent": "The agent ended the call after the goodbye.",
    "transferred": "The caller was connected with a person.",
    "caller": "The caller hung up.",
    "no_input": "The caller said nothing any more, so the agent hung up.",
    "max_duration": "The call reached the longest time allowed.",
    "carrier_error": "The carrier broke off.",
    "carrier_stalled": "The carrier stopped sending.",
    "server_error": "A fault on our side ended the call.",
    "server_shutdown": "A restart of the service ended the call.",
}
_SMALL_TALK = frozenset({"thanks", "goodbye", "help", "repeat", "greeting", "hello"})
_TROUBLES = {
    "no_match": ("did not understand the caller", "once", "{} times"),
    "no_input": ("heard nothing from the caller", "once", "{} times"),
    "tool_failed": ("had a tool fail", "once", "{} times"),
    "engine_failed": ("could not finish a reply", "once", "{} times"),
}


def extract(call: FinishedCall) -> str:
    """Some sentences about the call, in English."""
    return " ".join(_sentences(call))


def _sentences(call: FinishedCall) -> Iterator[str]:
    spoken = [turn.said for turn in call.turns if turn.said.caller_text]
    if not spoken:
        yield "The caller said nothing that was recognised."
    else:
        yield from _wishes(call)
    if call.tools:
        yield f"Tools used: {', '.join(call.tools)}."
    for name, (what, once, often) in _TROUBLES.items():
        if count := call.noted(name):
            yield f"The agent {what} {once if count == 1 else often.format(count)}."
    yield _ENDS.get(call.cause, "It is not known how the call ended.")


def _wishes(call: FinishedCall) -> Iterator[str]:
    """What the caller wanted, each with the answer that was heard; without a script, first and last words."""
    intents = call.profile.script.intents
    found = list(wishes(call, intents))
    if not found:
        said = [turn.said for turn in call.turns if turn.said.caller_text]
        yield f'The caller began with: "{_short(said[0].caller_text)}".'
        if len(said) > 1:
            yield f'Last, the caller said: "{_short(said[-1].caller_text)}".'
        return
    for name, words, answer in found[:MOST_WISHES]:
        told = f' The agent answered: "{_short(answer)}".' if answer else ""
        yield f'The caller asked ({name.replace("_", " ")}): "{_short(words)}".{told}'
    if len(found) > MOST_WISHES:
        yield f"{len(found) - MOST_WISHES} more questions followed."


def wishes(call: FinishedCall, intents: Mapping[str, Intent]) -> Iterator[tuple[str, str, str]]:
    """Intents of the script that the caller had, in order, each once: name, words, the last answer to it."""
    current: tuple[str, str, str] | None = None
    seen: set[str] = set()
    for turn in call.turns:
        words, heard = turn.said.caller_text, turn.said.heard_text
        match = best_match(words, intents) if words and intents else None
        if match is not None and match.intent not in _SMALL_TALK and match.intent not in seen:
            if current:
                yield current
            seen.add(match.intent)
            current = (match.intent, words, heard)
        elif current and heard and (match is None or match.intent == current[0]):
            current = (*current[:2], heard)  # the question went on: a number was asked for and given
    if current:
        yield current


def _short(text: str) -> str:
    plain = " ".join(text.replace('"', "'").split())
    if len(plain) <= LONGEST:
        return plain.rstrip(".")
    return plain[:LONGEST].rsplit(" ", 1)[0] + " ..."
