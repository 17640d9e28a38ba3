from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.engines.fallback.continuation import Continuation, resumed
from app.engines.ports import Message, ReplyRequest

SAID = "Your parcel is out for"


def told(said: str, text: str, cuts: list[int] | None = None) -> str:
    """``said`` and what the continuation adds to it."""
    continuation, out, start = Continuation(said), said, 0
    for cut in [*sorted(cuts or range(len(text))), len(text)]:
        out += continuation.feed(text[start:cut])
        start = max(start, cut)
    return out + continuation.finish()


@pytest.mark.parametrize(("said", "text", "whole"), [
    (SAID, "delivery today.", "Your parcel is out for delivery today."),
    (SAID, " delivery today.", "Your parcel is out for delivery today."),
    (SAID, "Your parcel is out for delivery today.", "Your parcel is out for delivery today."),
    (SAID, "... is out for delivery today.", "Your parcel is out for delivery today."),
    (SAID, "out for delivery.", "Your parcel is out for delivery."),
    (SAID, "For delivery.", "Your parcel is out for delivery."),
    (SAID, "Your parcel has left.", "Your parcel is out for Your parcel has left."),
    (SAID, "Your parcel is out for", "Your parcel is out for"),
    (SAID, "", "Your parcel is out for"),
    (SAID, "...", "Your parcel is out for..."),
    ("We are open. ", "We are open. Come by.", "We are open. Come by."),
    ("It is 5 5", "5 again.", "It is 5 5 5 again."),
    ("It is 1 2 3", "1 2 3 4 5.", "It is 1 2 3 4 5."),
    ("Sí, señor", "señor García.", "Sí, señor García."),
    ("", "Hello.", "Hello."),
    ("Hello", ", you.", "Hello, you."),
    ("that", "that is it", "that is it"),
])  # fmt: skip
def test_no_word_is_said_twice(said: str, text: str, whole: str) -> None:
    for cut in range(len(text) + 1):
        assert told(said, text, [cut]) == whole
    assert told(said, text) == whole


@given(st.text(max_size=30), st.text(max_size=60), st.lists(st.integers(0, 60), max_size=6))
def test_what_is_no_repeat_is_never_lost(said: str, text: str, cuts: list[int]) -> None:
    at_once = told(said, text, [])
    assert told(said, text, [min(cut, len(text)) for cut in cuts]) == at_once
    assert at_once.startswith(said)


def test_the_next_model_is_told_what_was_said_and_asked_to_go_on() -> None:
    request = ReplyRequest((Message("user", "Where is it?"),))
    assert resumed(request, " ") is request
    *before, said, ask = resumed(request, SAID).messages
    assert before == list(request.messages)
    assert said == Message("assistant", SAID)
    assert ask.role == "user"
    assert "Do not repeat" in ask.text
