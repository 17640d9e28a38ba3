from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.voice.chunker import FIRST_CLAUSE, LONGEST, Chunker, Phrase


def phrases(text: str, size: int = 3) -> list[Phrase]:
    chunker = Chunker()
    found = [
        phrase for start in range(0, len(text), size) for phrase in chunker.feed(text[start : start + size])
    ]
    return found + chunker.finish()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Yes. No! Why? Well…", ["Yes.", "No!", "Why?", "Well…"]),
        ("It is 3.14 today. Ok.", ["It is 3.14 today.", "Ok."]),
        ("Mr. Smith and Dr. Who are in. Wait.", ["Mr. Smith and Dr. Who are in.", "Wait."]),
        ("At 9 a.m. or 5 p.m. daily. Ok.", ["At 9 a.m. or 5 p.m. daily.", "Ok."]),
        ("See www.example.com now. Ok.", ["See www.example.com now.", "Ok."]),
        ('He said "no." Then left.', ['He said "no."', "Then left."]),
        ("one\n\ntwo", ["one", "two"]),
        ("नमस्ते। कैसे हैं॥ ठीक", ["नमस्ते।", "कैसे हैं॥", "ठीक"]),
        ("你好。再见！", ["你好。", "再见！"]),
        ("   ", []),
    ],
)
@pytest.mark.parametrize("size", [1, 4, 1000])
def test_sentences(text: str, expected: list[str], size: int) -> None:
    assert [phrase.text for phrase in phrases(text, size)] == expected


def test_the_first_phrase_may_end_at_an_early_clause() -> None:
    first = "Your parcel left our depot today,"
    assert len(first) > FIRST_CLAUSE
    found = phrases(first + " and it will be with you by four, or at five at the latest.")
    assert [phrase.text for phrase in found] == [
        first,
        "and it will be with you by four, or at five at the latest.",
    ]


def test_a_sentence_without_an_end_is_cut_at_a_word() -> None:
    found = phrases("word " * 100)
    assert all(len(phrase.text) <= LONGEST for phrase in found)
    assert " ".join(phrase.text for phrase in found).split() == ["word"] * 100


@given(st.text(alphabet="ab .,!?\n", max_size=400), st.integers(1, 50))
def test_phrases_are_the_text_in_order_and_nothing_is_lost(text: str, size: int) -> None:
    found = phrases(text, size)
    for phrase in found:
        assert text[phrase.start : phrase.end] == phrase.text
    assert "".join(phrase.text for phrase in found).replace(" ", "").replace("\n", "") == text.replace(
        " ", ""
    ).replace("\n", "")
