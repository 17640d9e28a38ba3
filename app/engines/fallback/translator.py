"""Translators in order; a phrase that one broke off is translated by the next."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

from app.engines.errors import EngineError
from app.engines.fallback.candidate import Candidate
from app.engines.fallback.choice import CallEngine, Fallback, begun, tasted
from app.engines.fallback.continuation import Continuation
from app.engines.fallback.roster import Note, Roster, unrecorded
from app.engines.ports import TranslationRequest, Translator
from config.engines import FallbackSettings


class FallbackTranslator(Fallback[Translator]):
    """The translators of ``engines``, best first. Raises ``EngineError`` only when none is left.

    Which languages calls need is known once one has asked: a translator is tried with those of the latest.
    """

    def __init__(self, engines: Sequence[Translator], settings: FallbackSettings) -> None:
        super().__init__(Roster("mt", engines, settings, self._trial))
        self.languages: tuple[str, str] | None = None  # of the latest request

    async def start(self) -> None:
        """Start all. Raises ``EngineUnavailable``."""
        await self.roster.start()

    def for_call(self, note: Note) -> CallTranslator:
        """The translators as one call uses them; ``note`` writes into its record."""
        return CallTranslator(self, note)

    def translate(self, request: TranslationRequest) -> AsyncGenerator[str, None]:
        """A translation for no call in particular."""
        return self.for_call(unrecorded).translate(request)

    async def _trial(self, engine: Translator) -> None:
        """Let it translate a greeting; none is tried that nobody has used."""
        if self.languages is not None:
            await tasted(engine.translate(TranslationRequest("Hello.", *self.languages)))


class CallTranslator(CallEngine[Translator]):
    """The translators as one call uses them."""

    def __init__(self, shared: FallbackTranslator, note: Note) -> None:
        super().__init__(shared.roster, note)
        self._shared = shared

    async def translate(self, request: TranslationRequest) -> AsyncGenerator[str, None]:
        """The translation. Raises ``EngineError`` when none is left.

        Another translator chooses other words: where it does not repeat those given out, all of its
        translation follows them, since half a sentence would mean something else.
        """
        self._shared.languages = (request.source, request.target)
        said = ""
        tried: list[Candidate[Translator]] = []
        candidate: Candidate[Translator] | None = self.choice.best()
        while candidate is not None:
            repeats = Continuation(said)
            attempt = self._pieces(candidate, tried, begun(candidate.engine.translate(request)))
            try:
                async for piece in attempt:
                    if new := repeats.feed(piece):
                        said += new
                        yield new
                if new := repeats.finish():
                    yield new
            except EngineError as error:
                candidate = self.choice.after(candidate, error, tried)
                if candidate is None:
                    raise
            else:
                return
            finally:
                await attempt.aclose()
