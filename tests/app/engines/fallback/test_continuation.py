from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.engines.fallback.continuation import Continuation, WholeWords
from app.voice.chunker import Chunker

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
    ("It is 5 5", "5 5 6.", "It is 5 5 5 5 6."),
    ("It is 1 2 3", "1 2 3 4 5.", "It is 1 2 3 4 5."),
    ("It is four two two", " two five.", "It is four two two two five."),
    ("It is one, three, three,", " three, right?", "It is one, three, three, three, right?"),
    ("It is twelve ", "twelve oh one.", "It is twelve twelve oh one."),
    ("It is one two", "one two three.", "It is one two three."),
    ("Thank you very", "very much.", "Thank you very much."),
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


@pytest.mark.parametrize(("pieces", "given"), [
    (("For", " deliv", "ery", " today", "."), ("For", " ", "", "delivery ", "today.", "")),
    (("It is", " 12", "345", "."), ("It is", " ", "", "", "12345.")),
    (("It is", " 12", ".", "50", " euros"), ("It is", " ", "", "", "12.50 ", "euros")),
    (("Mr", ". O", "'", "Neill-", "Smith "), ("Mr", ". ", "", "", "O'Neill-Smith ", "")),
    (("Yes", ", \"sure\"", " then"), ("Yes", ", \"sure\"", " ", "then")),
    (("का", " पार्", "सल", "।"), ("का", " ", "", "पार्सल।", "")),
    (("您", "的包裹", "今天", "送到"), ("您", "的包裹", "今天", "送到", "")),
    (("", "For", "ever"), ("", "For", "", "ever")),
])  # fmt: skip
def test_a_word_is_given_once_it_is_whole(pieces: tuple[str, ...], given: tuple[str, ...]) -> None:
    words = WholeWords(begun=False)
    assert (*(words.feed(piece) for piece in pieces), words.finish()) == given


@given(st.lists(st.text(max_size=8), max_size=20), st.booleans())
def test_of_words_that_come_none_is_lost(pieces: list[str], begun: bool) -> None:
    words = WholeWords(begun=begun)
    assert "".join([*(words.feed(piece) for piece in pieces), words.finish()]) == "".join(pieces)


@pytest.mark.parametrize("token", [r"\s*\w+|[^\w\s]", r"\w+\s*|[^\w\s]+\s*", r".{1,4}"])
@pytest.mark.parametrize("text", [
    "Your parcel is out for delivery today. It should be with you at 4. Is there anything else, or not?",
    "We are open from 8 to 6, Monday to Friday, and from 9 to 1 on Saturdays! It costs 12.50 euros. Bye.",
    "Of course, I can help with that. The number is one, two, three, four, five. Is that right?",
    "您的包裹今天送到。请问还有什么可以帮您，或者没有了？",
])  # fmt: skip
def test_no_phrase_is_spoken_later_for_words_that_are_held(text: str, token: str) -> None:
    words, held, at_once = WholeWords(begun=False), Chunker(), Chunker()
    for number, piece in enumerate(re.findall(token, text)):
        assert held.feed(words.feed(piece), 0.02 * number) == at_once.feed(piece, 0.02 * number)
