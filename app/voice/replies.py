"""The replies of one call, one at a time: the one that is heard, and the one that is only thought of.

Speculation: a reply may be started while the silence after the caller's words is still waited out. It is kept
when the turn ends with the same words, and dropped when the caller goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from app.engines.errors import EngineError
from app.metrics import SPECULATIONS
from app.voice.delivery import Delivery
from app.voice.language import normalise
from app.voice.latency import Timeline
from app.voice.playout import Playout
from app.voice.ports import AfterReply
from app.voice.profile import Speculation
from app.voice.reply import Reply
from app.voice.said import NOTHING, Said
from app.voice.speaker import Speaker
from app.voice.transcript import Transcript, Turn

log = structlog.get_logger(__name__)


class Replies:
    """Starts, holds, releases and cancels replies. ``current`` is the one that the caller hears or waits for.

    ``over`` is called with each reply that has come to its end, once what was heard of it is settled.
    """

    def __init__(
        self,
        speaker: Speaker,
        transcript: Transcript,
        speculation: Speculation,
        start: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
        over: Callable[[Reply], None],
    ) -> None:
        self.current: Reply | None = None
        self.speculations = {"started": 0, "used": 0, "dropped": 0}
        self._speaker = speaker
        self._transcript = transcript
        self._settings = speculation
        self._start = start
        self._over = over
        self._task: asyncio.Task[None] | None = None
        self._held: Reply | None = None
        self._held_task: asyncio.Task[None] | None = None
        self._tries = 0  # speculations of this turn
        self._aside: asyncio.Task[None] | None = None
        self._made = 0
        self._round_trip: float | None = None

    # Starting

    def prompt(self, sentence: str, caller: Said = NOTHING, after: AfterReply = AfterReply.LISTEN) -> None:
        """Speak a sentence of ours, outside the model's replies."""
        turn = self._transcript.open_turn(caller)
        reply = self._make(turn, Timeline(turn_ended=self._speaker.clock()))
        reply.after = after
        self._run(reply, reply.say(sentence))

    def unanswered(self, caller: Said) -> Turn:
        """The turn of words to which there will be no reply."""
        return self._transcript.open_turn(caller)

    def speculate(self, text: str) -> None:
        """Start on the reply to these words, unless it was started, or this turn has had its share."""
        if self._held is not None and self._answers(self._held, text):
            return
        self.drop()
        if not self._settings.enabled or self._tries >= self._settings.most_per_turn:
            return
        self._tries += 1
        self._count("started")
        turn = self._transcript.propose(Said(text))
        self._held = self._make(turn, Timeline(), held=True)
        self._held_task = self._start(self._held.answer(lambda: self._transcript.messages(turn)))

    def drop(self) -> None:
        """The caller went on: forget the speculation."""
        if self._held is not None and self._held_task is not None:
            self._held.abandoned = True
            self._held_task.cancel()
            self._held = self._held_task = None
            self._count("dropped")

    def answer(self, caller: Said, timeline: Timeline) -> None:
        """The caller's turn ended with these words: let the speculation be heard, or ask the model now."""
        self._tries = 0
        if self._aside is not None:
            self._aside.cancel()
        held, task = self._held, self._held_task
        if held is None or not self._answers(held, caller.text):
            self.drop()
            turn = self._transcript.open_turn(caller)
            reply = self._make(turn, timeline)
            self._run(reply, reply.answer(lambda: self._transcript.messages(turn)))
            return
        self._held = self._held_task = None
        self._count("used")
        held.turn.caller = caller
        held.timeline.ask(timeline)
        self._transcript.adopt(held.turn)
        self.current, self._task = held, task
        held.release()

    def acknowledge(self, sentence: str) -> None:
        """Say a few words while the caller has the floor; they are no turn."""
        self._aside = self._start(self._say_aside(sentence))

    # While one is under way

    def mark_played(self, name: str) -> bool:
        """The carrier echoed a mark; whether it is one of the current reply's."""
        if self.current is None or not self.current.playout.mark_played(name, self._speaker.clock()):
            return False
        self._round_trip = self.current.playout.round_trip
        return True

    def cancel(self) -> None:
        """Stop the model and the speech of the current reply."""
        if self.current is not None:
            self.current.abandoned = True
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def clear(self) -> None:
        """Take back what the carrier has not played: the reply is over."""
        reply = self.current
        if reply is None:
            return
        if reply.playout.sent:
            now = self._speaker.clock()
            self._speaker.leg.clear()
            self._speaker.echo.clear(now)
            reply.playout.clear(now)
        self.complete(interrupted=True)

    def withdraw(self) -> Said:
        """The caller went on before the reply was heard: their words, one turn with what follows.

        A reply that used a tool which changes something cannot be withdrawn: the next one knows of it.
        """
        reply = self.current
        if reply is None or reply.fixed:
            self.current = None
            return NOTHING
        if reply.turn.wrote:
            self.complete(interrupted=True)
            return NOTHING
        self.current = None
        self._transcript.withdraw(reply.turn)
        return reply.turn.caller

    def complete(self, *, interrupted: bool) -> None:
        """The current reply is over: settle what was heard of it."""
        reply, self.current = self.current, None
        if reply is not None:
            reply.turn.heard_chars = reply.playout.heard_chars(self._speaker.clock())
            reply.turn.interrupted = interrupted
            self._over(reply)

    def hesitate(self) -> None:
        """Feed nothing for a moment."""
        if self.current is not None:
            self.current.delivery.hesitate()

    def pause(self) -> None:
        """Stop feeding the leg."""
        if self.current is not None:
            self.current.delivery.pause()

    def resume(self) -> None:
        """Go on where ``pause`` stopped."""
        if self.current is not None:
            self.current.delivery.resume()

    def duck(self, decibels: float) -> None:
        """Speak softer by so much; 0: as before."""
        if self.current is not None:
            self.current.delivery.duck(decibels)

    # Inside

    def _make(self, turn: Turn, timeline: Timeline, *, held: bool = False) -> Reply:
        self._made += 1
        return Reply(turn, timeline, Playout(self._made, self._round_trip), self._speaker, held=held)

    def _run(self, reply: Reply, work: Coroutine[Any, Any, None]) -> None:
        self.current = reply
        self._task = self._start(work)

    def _answers(self, held: Reply, text: str) -> bool:
        return normalise(held.turn.caller_text) == normalise(text)

    def _count(self, fate: str) -> None:
        self.speculations[fate] += 1
        SPECULATIONS.labels(fate).inc()

    async def _say_aside(self, sentence: str) -> None:
        self._made += 1
        delivery = Delivery(self._speaker, Playout(self._made, self._round_trip), Timeline(), held=False)
        delivery.interject(sentence, urgent=False)
        delivery.phrases.close()
        try:
            await delivery.run()
        except* EngineError as failure:
            log.warning("acknowledgement failed", error=str(failure.exceptions[0]))
