"""Language models in order; the reply in flight goes on with the next one, and an apology ends the list."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from functools import partial

from app.engines.errors import EngineError
from app.engines.fallback.apology import Apology, shown
from app.engines.fallback.candidate import Candidate
from app.engines.fallback.choice import Begun, CallEngine, Fallback, begun, tasted
from app.engines.fallback.continuation import Continuation, WholeWords
from app.engines.fallback.hedge import Hedges, first_of
from app.engines.fallback.roster import Note, Roster, unrecorded
from app.engines.llm.script import Script
from app.engines.llm.scripted import ScriptedLanguageModel
from app.engines.ports import (
    Delta,
    LanguageModel,
    Message,
    Outage,
    ReplyRequest,
    TextDelta,
    ToolCall,
    Working,
)
from config.engines import FallbackSettings

_SENTENCE_ENDS = (".", "!", "?", "…", ":", "。", "！", "？")
_TOOL_CALL_SECONDS = 1.5
"""For what follows a sentence of a model without another: not all say ``Working`` while they write a call.

Some of it passes while the sentence is heard: the caller is not left without a word for longer."""

_TRIAL = ReplyRequest(
    (Message("system", "Answer with one word."), Message("user", "Hello.")),
    script=Script(no_match=("Hello.",)),
)


class FallbackLanguageModel(Fallback[LanguageModel]):
    """The models of ``engines``, best first. When none is left, the caller hears ``ReplyRequest.outage``.

    The first thing of a reply may take as long as ``Patience`` says where another model could take over, and
    as long as the engine itself allows where none could. A model that has nothing to say to the caller fails.
    """

    def __init__(self, engines: Sequence[LanguageModel], settings: FallbackSettings) -> None:
        super().__init__(Roster("llm", engines, settings, _trial))
        self.hedges = Hedges(settings.hedge)
        self.outage = ScriptedLanguageModel()

    def for_call(self, note: Note) -> CallLanguageModel:
        """The models as one call uses them; ``note`` writes into its record."""
        return CallLanguageModel(self, note)

    def reply(self, request: ReplyRequest) -> AsyncGenerator[Delta, None]:
        """A reply for no call in particular."""
        return self.for_call(unrecorded).reply(request)


class CallLanguageModel(CallEngine[LanguageModel]):
    """The models as one call uses them."""

    def __init__(self, shared: FallbackLanguageModel, note: Note) -> None:
        super().__init__(shared.roster, note)
        self._shared = shared
        self._apology: Apology | None = None  # since which no model has said anything

    async def reply(self, request: ReplyRequest) -> AsyncGenerator[Delta, None]:
        """The reply's deltas; where a model fails, the next one goes on.

        A tool call ends what a model has to say: what fails after it does not matter. Raises ``EngineError``
        when no model is left and the request has no ``outage``.
        """
        said, acted, apology = "", False, self._apology
        problem = EngineError(self.name, "it was given up, and there is no other")
        tried = [one for one in self.choice.roster.candidates if not _serves(one.engine, request)]
        best = self.choice.best(tried)
        candidate = best if best.usable else None
        while candidate is not None:
            attempt = self._attempt(candidate, tried, replace(request, said=said if said.strip() else ""))
            try:
                async for delta in attempt:
                    self._apology = None
                    if isinstance(delta, TextDelta):
                        said += delta.text
                    acted = acted or isinstance(delta, ToolCall)
                    yield delta
            except EngineError as error:
                candidate, problem = self.choice.after(candidate, error, tried), error
                if acted:
                    return
            else:
                return
            finally:
                await attempt.aclose()
        if request.outage is None:
            raise problem
        self._apology = apology if apology is not None and apology.heard(request.messages) else None
        async for delta in self._apologise(request, request.outage, said):
            yield delta

    async def _apologise(
        self, request: ReplyRequest, script: Script, said: str
    ) -> AsyncGenerator[Delta, None]:
        yield Outage()
        asked = replace(request, messages=shown(request.messages, self._apology), script=script)
        deltas = [delta async for delta in self._shared.outage.reply(asked)]
        if self._apology is None:
            sentence = "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))
            self._apology = Apology(len(request.messages), said, sentence)
        apart = Continuation(said)
        for delta in deltas:
            if not isinstance(delta, TextDelta):
                yield delta
            elif new := apart.join(delta.text):
                yield TextDelta(new)

    async def _attempt(
        self,
        candidate: Candidate[LanguageModel],
        tried: Sequence[Candidate[LanguageModel]],
        request: ReplyRequest,
    ) -> AsyncGenerator[Delta, None]:
        """What one model says after ``request.said``, in whole words while they come.

        Raises ``EngineError``, also when late.
        """
        text = request.said
        repeats, words = Continuation(text), WholeWords(begun=bool(text))

        def alone() -> float | None:
            if not text:
                return None
            between = request.tools and text.rstrip().endswith(_SENTENCE_ENDS)
            return max(_TOOL_CALL_SECONDS, candidate.gap.most) if between else candidate.gap.most

        deltas = self._pieces(candidate, tried, self._ask(candidate, request), alone)
        try:
            async for delta in deltas:
                match delta:
                    case Working():
                        pass
                    case TextDelta(more):
                        text += more
                        if new := words.feed(repeats.feed(more)):
                            yield TextDelta(new)
                    case _:
                        if new := words.feed(repeats.finish()) + words.finish():
                            yield TextDelta(new)
                        yield delta
            if new := words.feed(repeats.finish()) + words.finish():
                yield TextDelta(new)
        finally:
            await deltas.aclose()

    async def _ask(self, candidate: Candidate[LanguageModel], request: ReplyRequest) -> Begun[Delta]:
        """A reply that has begun; the faster one of two, where the first is late."""
        hedges, late = self._shared.hedges, candidate.first.unusual
        ask = partial(_answer, candidate.engine, request)
        hedges.count()
        if hedges.enabled and late is not None:
            return await first_of(candidate.engine.name, ask, late, hedges)
        return await begun(ask())


def _serves(engine: LanguageModel, request: ReplyRequest) -> bool:
    """Whether it can answer such a request at all."""
    return not isinstance(engine, ScriptedLanguageModel) or engine.serves(request)


async def _answer(engine: LanguageModel, request: ReplyRequest) -> AsyncGenerator[Delta, None]:
    """A model's reply. Raises ``EngineError``, also where the caller would hear nothing of it.

    A script may leave the caller without an answer on purpose; nothing may follow words, or a tool.
    """
    asked = not request.said and [message.role for message in request.messages[-1:]] == ["user"]
    empty = asked and not isinstance(engine, ScriptedLanguageModel)
    async with aclosing(engine.reply(request)) as deltas:
        async for delta in deltas:
            if empty:
                empty = not delta.text.strip() if isinstance(delta, TextDelta) else isinstance(delta, Working)
            yield delta
    if empty:
        raise EngineError(engine.name, "it said nothing")


async def _trial(engine: LanguageModel) -> None:
    await tasted(_answer(engine, _TRIAL))
