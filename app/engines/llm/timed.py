"""The ``timed`` language model: no inference, the same reply at exact times (bench profile)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from app.engines.ports import Delta, ReplyRequest, TextDelta
from app.engines.timing import wait_until
from config.engines import TimedSettings

# Three-letter words, so that with its space each is a token of four characters; a sentence's last token is
# a space, two letters and the full stop.
_SENTENCES = (
    ("the box has now set out and you may see who got", "it"),
    ("the van can get you the box any day you may ask", "us"),
    ("let our men now put the old key and the pad out for", "me"),
)


def timed_tokens(sentence_tokens: tuple[int, ...]) -> tuple[str, ...]:
    """Tokens of four characters that make sentences of so many tokens each, the last one with a full stop."""
    tokens: list[str] = []
    for index, count in enumerate(sentence_tokens):
        text, last = _SENTENCES[index % len(_SENTENCES)]
        words = text.split()
        middle = [f" {words[place % len(words)]}" for place in range(count - 1)]
        if middle:
            middle[0] = f" {words[0].capitalize()}"
        tokens += [*middle, f" {last}."]
    if tokens and tokens[0] == " The":
        tokens[0] = "Your"  # a reply does not begin with a space
    return tuple(tokens)


class TimedLanguageModel:
    """Answers every request with the same sentences, a token at a time.

    The first token comes ``first_token_after`` seconds after ``reply`` was called, then one every
    ``token_every`` seconds of that same clock: a late consumer finds the tokens that were due meanwhile.
    """

    name = "timed"

    def __init__(self, settings: TimedSettings) -> None:
        self._deltas = tuple(TextDelta(token) for token in timed_tokens(settings.sentence_tokens))
        self._first_after = settings.first_token_after
        self._every = settings.token_every

    async def start(self) -> None:
        """Nothing to load."""

    async def close(self) -> None:
        """Nothing to free."""

    def reply(self, request: ReplyRequest) -> AsyncGenerator[Delta, None]:
        """The reply; its clock starts now."""
        loop = asyncio.get_running_loop()
        return self._reply(loop, loop.time() + self._first_after)

    async def _reply(self, loop: asyncio.AbstractEventLoop, first: float) -> AsyncGenerator[Delta, None]:
        for index, delta in enumerate(self._deltas):
            await wait_until(loop, first + index * self._every)
            yield delta
