"""Voices in order; a phrase that breaks off goes on with the next one after the last word that was made."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from app.engines.errors import EngineError, RequestRefused
from app.engines.fallback.candidate import Candidate
from app.engines.fallback.choice import CallEngine, Fallback, begun, tasted
from app.engines.fallback.resume import Pace, guessed_marks, resume_at
from app.engines.fallback.roster import Note, Roster, unrecorded
from app.engines.ports import SpeechChunk, Synthesiser, Voice, VoiceSpec, WordMark
from config.engines import FallbackSettings


class FallbackSynthesiser(Fallback[Synthesiser]):
    """The synthesisers of ``engines``, best first. Raises ``EngineError`` only when none is left."""

    def __init__(self, engines: Sequence[Synthesiser], settings: FallbackSettings) -> None:
        super().__init__(Roster("tts", engines, settings, _trial))
        self.paces = {candidate: Pace() for candidate in self.roster.candidates}

    async def voices(self) -> Sequence[Voice]:
        """The voices of the first. Raises ``EngineError``."""
        return await self.roster.candidates[0].engine.voices()

    def for_call(self, note: Note) -> CallSynthesiser:
        """The synthesisers as one call uses them; ``note`` writes into its record."""
        return CallSynthesiser(self, note)

    def speak(self, phrase: str, voice: VoiceSpec) -> AsyncGenerator[SpeechChunk, None]:
        """A phrase for no call in particular."""
        return self.for_call(unrecorded).speak(phrase, voice)

    async def whole(self, phrase: str, voice: VoiceSpec) -> tuple[SpeechChunk, ...]:
        """A phrase to be kept: all of it by the first voice that does not refuse it.

        Raises ``EngineError`` where that one is given up for now, is late, or fails. That is no failed use by
        a call: a phrase that it cannot say, tried again and again, must not cost calls the voice.
        """
        call = self.for_call(unrecorded)
        problem = EngineError(self.name, "no voice speaks it")
        for candidate in self.roster.candidates:
            if not candidate.usable:
                raise EngineError(candidate.engine.name, "it is given up for now")
            try:
                async with aclosing(call.spoken_by(candidate, phrase, voice)) as speech:
                    chunks = tuple([chunk async for chunk in speech])
            except RequestRefused as error:
                problem = error
            else:
                self.paces[candidate].spoke(len(phrase), sum(len(chunk.samples) for chunk in chunks))
                return chunks
        raise problem


class _Part:
    """What one voice says of a phrase: all of it, or what another voice has left.

    A voice that took over has its words marked where it does not mark them itself, by its pace: the marks of
    a phrase are all there or not at all.
    """

    def __init__(
        self,
        text: str,
        char: int = 0,
        sample: int = 0,
        owed: Sequence[WordMark] = (),
        *,
        taken_over: bool = False,
    ) -> None:
        self.text = text
        self.made = 0
        self._char, self._sample = char, sample  # of the whole phrase, where this part begins
        self._owed = list(owed)  # marks of the parts before, of the whole phrase
        self._marks: list[WordMark] = []
        self._taken_over = taken_over

    def take(self, chunk: SpeechChunk, pace: float) -> SpeechChunk:
        """A piece of this part as one of the whole phrase."""
        begin, self.made = self.made, self.made + len(chunk.samples)
        self._marks += chunk.words
        if not self._taken_over:
            return chunk
        words = chunk.words
        if not self._marks:
            words = tuple(mark for mark in guessed_marks(self.text, pace) if begin <= mark.sample < self.made)
        owed, self._owed = self._owed, []
        return SpeechChunk(chunk.samples, (*owed, *self._placed(words)))

    def rest(self, pace: float) -> _Part | None:
        """What another voice has to say; ``None``: nothing."""
        resume = resume_at(self.text, self.made, self._marks, pace)
        if resume >= len(self.text):
            return None
        owed = self._owed
        if not self._marks and not self._taken_over and resume:
            owed = guessed_marks(self.text[:resume], self.made / resume)
        return _Part(self.text[resume:], self._char + resume, self._sample + self.made, owed, taken_over=True)

    def _placed(self, words: Sequence[WordMark]) -> list[WordMark]:
        return [WordMark(word.char + self._char, word.sample + self._sample) for word in words]


class CallSynthesiser(CallEngine[Synthesiser]):
    """The synthesisers as one call uses them."""

    def __init__(self, shared: FallbackSynthesiser, note: Note) -> None:
        super().__init__(shared.roster, note)
        self._paces = shared.paces

    async def voices(self) -> Sequence[Voice]:
        """The voices of the synthesiser that speaks now. Raises ``EngineError``."""
        return await self.choice.current.engine.voices()

    async def speak(self, phrase: str, voice: VoiceSpec) -> AsyncGenerator[SpeechChunk, None]:
        """The phrase's audio, by as many voices as it takes. Raises ``EngineError`` when none is left."""
        part = _Part(phrase)
        tried: list[Candidate[Synthesiser]] = []
        candidate = self.choice.best()
        while True:
            pace = self._paces[candidate]
            attempt = self.spoken_by(candidate, part.text, voice, tried)
            try:
                async for chunk in attempt:
                    yield part.take(chunk, pace.value)
            except EngineError as error:
                chosen = self.choice.after(candidate, error, tried)
                rest = part.rest(pace.value)
                if rest is None:
                    return
                if chosen is None:
                    raise
                part, candidate = rest, chosen
            else:
                pace.spoke(len(part.text), part.made)
                return
            finally:
                await attempt.aclose()

    def spoken_by(
        self,
        candidate: Candidate[Synthesiser],
        text: str,
        voice: VoiceSpec,
        tried: Sequence[Candidate[Synthesiser]] = (),
    ) -> AsyncGenerator[SpeechChunk, None]:
        """What one voice makes of a text. Raises ``EngineError``, also when it is late."""
        first = candidate is self.choice.roster.candidates[0]
        speech = candidate.engine.speak(text, voice.of(candidate.engine.name, first=first))
        return self._pieces(candidate, tried, begun(speech))


async def _trial(engine: Synthesiser) -> None:
    await tasted(engine.speak("Hello.", VoiceSpec()))
