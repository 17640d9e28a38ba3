"""A transcript without what was found in it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from app.privacy.audio import placed
from app.privacy.models import CallTurn, Finding, RedactedTurn, Side, Span
from app.voice.events import CallerWord


def redact(turns: Sequence[CallTurn], findings: Iterable[Finding]) -> tuple[RedactedTurn, ...]:
    """The turns with a placeholder for each finding, which must be of these turns as they are."""
    by_turn: dict[int, list[Finding]] = {}
    for finding in findings:
        by_turn.setdefault(finding.turn, []).append(finding)
    return tuple(_redacted(turn, by_turn.get(turn.index, [])) for turn in turns)


def redact_text(text: str, spans: Iterable[Span | Finding]) -> str:
    """The text with a placeholder for each span."""
    parts: list[str] = []
    at = 0
    for span in sorted(spans, key=lambda span: span.begin):
        parts += [text[at : span.begin], span.kind.placeholder] if span.begin >= at else []
        at = max(at, span.end)
    return "".join([*parts, text[at:]])


def _redacted(turn: CallTurn, findings: Sequence[Finding]) -> RedactedTurn:
    def of(side: Side, part: int = 0) -> list[Finding]:
        return [finding for finding in findings if finding.side is side and finding.part == part]

    return RedactedTurn(
        index=turn.index,
        caller_text=redact_text(turn.caller_text, of(Side.CALLER)),
        caller_words=_words(turn, of(Side.CALLER)),
        reply_text=redact_text(turn.reply_text, of(Side.REPLY)),
        heard_text=redact_text(turn.heard_text, of(Side.HEARD)),
        backchannels=tuple(
            replace(backchannel, text=redact_text(backchannel.text, of(Side.BACKCHANNEL, part)))
            for part, backchannel in enumerate(turn.backchannels)
        ),
    )


def _words(turn: CallTurn, findings: Sequence[Finding]) -> tuple[CallerWord, ...]:
    """The caller's words; one that is not found in the text is personal where its time says so."""
    if not findings:
        return turn.caller_words
    found = placed(turn.caller_text, turn.caller_words, turn.caller_started, turn.caller_ended)
    places = {word.number: word for word in found}
    words: list[CallerWord] = []
    for number, word in enumerate(turn.caller_words):
        place = places.get(number)
        for finding in findings:
            if place is not None:
                hit = place.begin < finding.end and finding.begin < place.end
            else:
                hit = finding.audio is None or (
                    word.started < finding.audio[1] and finding.audio[0] < word.ended
                )
            if hit:
                words.append(replace(word, text=finding.kind.placeholder))
                break
        else:
            words.append(word)
    return tuple(words)
