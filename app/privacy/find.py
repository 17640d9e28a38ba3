"""Personal data in the transcript of a call. Pure but for the tables of ``written``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from app.privacy.audio import CallerClock, agent_span, time_between
from app.privacy.context import Context
from app.privacy.detect import Detected, detect
from app.privacy.language import Language, language_of
from app.privacy.models import CallTurn, Finding, Kind, Side, Span
from app.privacy.names import Known
from app.privacy.tokens import Sort, placeholders, tokenise
from app.privacy.written import REGIONS

EntityModel: TypeAlias = Callable[[Sequence[str]], Sequence[Sequence[tuple[int, int]]]]
"""The characters of names of people in each of some texts, as ``app.privacy.entities`` makes it."""

_PASSES = 8  # what a pass finds can change what the next one sees; three are rare

Place: TypeAlias = tuple[int, Side, int]
"""A text: the turn's place among the turns, the side, and the number of the backchannel."""


def find(
    turns: Sequence[CallTurn],
    language: str,
    *,
    regions: Sequence[str] = REGIONS,
    entities: EntityModel | None = None,
) -> tuple[Finding, ...]:
    """All personal data of a call, in the order of its texts.

    ``turns`` are all turns of the call, in order: a question tells what the answer is, and a number may be
    spread over several. ``language`` is the call's, BCP 47; a turn's ``caller_language`` counts for what the
    caller says where it is one that has patterns. ``regions`` are those whose national telephone numbers are
    known. What stands in the text of a redacted turn is not found again.
    """
    spans = _named(turns, entities) if entities is not None else {}
    known = Context(names=_known(turns, spans))
    for _ in range(_PASSES):
        found, known = _Pass(turns, language, regions, spans).run(known)
        if not found:
            break
        for place, added in found.items():
            spans[place] = merged([*spans.get(place, ()), *added])
    return tuple(_findings(turns, spans))


def merged(spans: Sequence[Span]) -> list[Span]:
    """In order, where some meet as one of the first's kind."""
    kept: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.begin, -span.end)):
        if kept and span.begin < kept[-1].end:
            kept[-1] = replace(kept[-1], end=max(kept[-1].end, span.end))
        else:
            kept.append(span)
    return kept


@dataclass(slots=True)
class _Pass:
    """Looks once through a call, in the order in which it was said."""

    turns: Sequence[CallTurn]
    language: str
    regions: Sequence[str]
    masked: dict[Place, list[Span]]

    def run(self, known: Context) -> tuple[dict[Place, list[Span]], Context]:
        """What is new, and what the call's names and numbers are. ``known``: those found before."""
        context = known.asking(())
        found: dict[Place, list[Span]] = {}
        for position, turn in enumerate(self.turns):
            caller = self._detect((position, Side.CALLER, 0), turn.caller_text, context, caller=True)
            found[position, Side.CALLER, 0] = list(caller.spans)
            reply, heard = self._agent(position, turn, caller.context)
            found[position, Side.REPLY, 0] = list(reply.spans)
            found[position, Side.HEARD, 0] = list(heard.spans)
            context = heard.context if turn.heard_text else caller.context
            for part, backchannel in enumerate(turn.backchannels):
                over = self._detect(
                    (position, Side.BACKCHANNEL, part), backchannel.text, context, caller=True
                )
                found[position, Side.BACKCHANNEL, part] = list(over.spans)
                context = over.context
        return {place: spans for place, spans in found.items() if spans}, context

    def _agent(self, position: int, turn: CallTurn, context: Context) -> tuple[Detected, Detected]:
        """The reply, and what of it was heard: a number that was cut off is found by the whole of it too."""
        reply = self._detect((position, Side.REPLY, 0), turn.reply_text, context, caller=False)
        place = (position, Side.HEARD, 0)
        alike = self.masked.get(place) == self.masked.get((position, Side.REPLY, 0))
        if alike and turn.heard_text == turn.reply_text:
            return reply, reply
        heard = self._detect(place, turn.heard_text, context, caller=False)
        length = len(turn.heard_text)
        if not turn.reply_text.startswith(turn.heard_text):
            return reply, heard
        masks = [
            *((span.begin, span.end) for span in self.masked.get(place, ())),
            *placeholders(turn.heard_text),
        ]
        cut = [replace(span, end=min(span.end, length)) for span in reply.spans if span.begin < length]
        new = [span for span in cut if not any(span.begin < end and begin < span.end for begin, end in masks)]
        return reply, replace(heard, spans=tuple(merged([*heard.spans, *new])))

    def _detect(self, place: Place, text: str, context: Context, *, caller: bool) -> Detected:
        if not text:
            return Detected((), context)
        masked = [(span.begin, span.end) for span in self.masked.get(place, ())]
        language = self._language(self.turns[place[0]], caller=caller)
        return detect(text, language, context, caller=caller, masked=masked, regions=self.regions)

    def _language(self, turn: CallTurn, *, caller: bool) -> Language | None:
        own = language_of(turn.caller_language) if caller else None
        return own or language_of(self.language)


def texts(turns: Sequence[CallTurn]) -> Iterator[tuple[Place, str]]:
    """All texts of a call, with their places."""
    for position, turn in enumerate(turns):
        yield (position, Side.CALLER, 0), turn.caller_text
        yield (position, Side.REPLY, 0), turn.reply_text
        yield (position, Side.HEARD, 0), turn.heard_text
        for part, backchannel in enumerate(turn.backchannels):
            yield (position, Side.BACKCHANNEL, part), backchannel.text


def _named(turns: Sequence[CallTurn], entities: EntityModel) -> dict[Place, list[Span]]:
    """What the model of names finds, outside placeholders."""
    places = [(place, text) for place, text in texts(turns) if text]
    found: dict[Place, list[Span]] = {}
    for (place, text), names in zip(places, entities([text for _, text in places]), strict=True):
        taken = placeholders(text)
        spans = [
            Span(begin, end, Kind.NAME)
            for begin, end in names
            if not any(begin < taken_end and taken_begin < end for taken_begin, taken_end in taken)
        ]
        if spans:
            found[place] = merged(spans)
    return found


def _known(turns: Sequence[CallTurn], spans: dict[Place, list[Span]]) -> Known:
    """What the names in these places consist of."""
    by_place = dict(texts(turns))
    known = Known()
    for place, found in spans.items():
        for span in found:
            words = tokenise(by_place[place][span.begin : span.end])
            known = known.with_name([token.text for token in words if token.sort is Sort.WORD])
    return known


def _findings(turns: Sequence[CallTurn], spans: dict[Place, list[Span]]) -> Iterator[Finding]:
    for place, _ in texts(turns):
        position, side, part = place
        turn = turns[position]
        if place not in spans:
            continue
        clock = CallerClock(turn) if side is Side.CALLER else None
        for span in spans[place]:
            audio: tuple[float, float] | None = None
            if clock is not None:
                audio = clock.span(span.begin, span.end) or time_between(turns, position, caller=True)
            elif side is Side.HEARD:
                audio = agent_span(turn, span.begin, span.end) or time_between(turns, position, caller=False)
            elif side is Side.BACKCHANNEL:
                audio = (turn.backchannels[part].started, turn.backchannels[part].ended)
            yield Finding(turn.index, side, span.begin, span.end, span.kind, audio, part)
