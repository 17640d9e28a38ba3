from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.voice.chunker import Chunker, Phrase
from app.voice.profile import Phrasing

PHRASING = Phrasing()


def phrases(text: str, size: int = 3, language: str = "en-US", phrasing: Phrasing = PHRASING) -> list[Phrase]:
    chunker = Chunker(phrasing, language)
    found = [
        phrase
        for start in range(0, len(text), size)
        for phrase in chunker.feed(text[start : start + size], 0.0)
    ]
    return found + chunker.finish()


def texts(text: str, size: int = 3, language: str = "en-US", phrasing: Phrasing = PHRASING) -> list[str]:
    return [phrase.text for phrase in phrases(text, size, language, phrasing)]


# A bar stands where one phrase ends and the next begins.
CUTS = {
    "en-US": [
        "Yes. | Why? | Well…",
        "Hi! How are you?",
        "Really?! | Wow!!! | Go on.",
        "It is 3.14 today. | Okay.",
        "That is $1,234.50 in all. | Okay.",
        "It was 5. | Now it is six.",
        "Mr. Smith and Dr. Who are in. | Wait.",
        "J. R. Smith vs. Mrs. Jones etc. | Next.",
        "So do I. | You too.",
        "At 9 a.m. or 5 p.m. daily. | Okay.",
        "We close at 5 p.m. | We open at 9.",
        "We open at 9 a.m. Monday to Friday. | Okay.",
        "It is 10:30 now: go. | Good.",
        "See No. 5, p. 12. | The answer is no. | Okay.",
        "e.g. parcels, i.e. boxes. | Done.",
        "In the U.S. we wait. | Done.",
        "See www.example.com now. | Okay.",
        "See example.com. | Okay.",
        "Go to https://example.com/a?b=1.2,3!x. | Okay.",
        "Write to jane.doe@example.com. | Okay.",
        "Call +1 (555) 010-0100. | Okay.",
        'He said "no." | Then he left.',
        "(It is late.) | Good night.",
        "Wait... maybe not. | Okay.",
        "Wait... | Then go.",
        "He **stopped.** | Then he left.",
        "one line\n | another\n\n | a third",
        "1. Open the box.\n | 2. Close it.",
        "It ends with `a. b` here. | Yes.",
        "See [the page. It helps](https://example.com). | Yes.",
    ],
    "de-DE": [
        "Am 3. Mai kommt es. | Gut.",
        "Er kommt am 24. Dezember oder am 2. Weihnachtstag. | Gut.",
        "Z.B. Herr Dr. Maier bzw. Frau Prof. Schulz. | Ja.",
        "Das gilt z. B. für Pakete. | Ja.",
        "Es kostet 1.234,50 Euro. | Gut.",
        "Das war 1999. | Heute nicht mehr.",
        "Pakete usw. Briefe auch. | Gut.",
    ],
    "es-ES": [
        "¿Qué tal? | ¡Muy bien! | El Sr. García llega.",
        "EE. UU. y Ud. esperan. | Ya voy.",
        "Ven a. | Ya voy.",
    ],
    "fr-FR": ["Vraiment ? | Oui ! | M. Dupont et Mme. Martin sont là. | Bon.", "Il est 10h30. | Bon."],
    "nl-NL": ["Dhr. Jansen is er. | Goed."],
    "hi-IN": ["नमस्ते। | कैसे हैं॥ | ठीक है"],
    "ja-JP": ["こんにちは。 | お元気ですか？！ | 「はい。」 | さようなら"],
    "zh-CN": ["你好吗。 | 再见了！"],
    "ar-EG": ["كيف حالك؟ | بخير"],
    "xx": ["One. | Two. | Dr. Three. | Four."],
}  # fmt: skip


@pytest.mark.parametrize("size", [1, 4, 1000])
@pytest.mark.parametrize(("language", "cuts"), [(key, cuts) for key, rows in CUTS.items() for cuts in rows])
def test_where_sentences_end(language: str, cuts: str, size: int) -> None:
    expected = cuts.split(" | ")
    space = "" if language in {"ja-JP", "zh-CN"} else " "
    assert texts(space.join(expected), size, language) == [phrase.strip() for phrase in expected]


def test_nothing_is_no_phrase() -> None:
    assert texts(" \n ") == []


def test_the_first_phrase_may_end_at_an_early_clause() -> None:
    first = "Your parcel left our depot today,"
    rest = "and it will be with you by four, or at five at the latest."
    assert len(first) > PHRASING.first_clause
    assert texts(f"{first} {rest}") == [first, rest]


def test_a_later_phrase_ends_at_a_clause_once_it_is_long() -> None:
    clause = "the parcel is on its way to you and will arrive after the driver has had his lunch,"
    assert texts(f"Yes. {clause} {clause} done.") == ["Yes.", clause, clause, "done."]


def test_clauses_do_not_part_digits_nor_links() -> None:
    digits = "The number of your parcel is 1, 2, 3, 4, 5"
    assert texts(f"{digits}, is it not?") == [f"{digits},", "is it not?"]
    assert texts("On our page you will [find, once there](https://example.com) it all.") == [
        "On our page you will [find, once there](https://example.com) it all."
    ]


def test_a_sentence_without_an_end_is_cut_between_words() -> None:
    found = texts("word " * 100)
    assert all(len(phrase) <= PHRASING.longest for phrase in found)
    assert " ".join(found).split() == ["word"] * 100


@pytest.mark.parametrize(
    "whole",
    ["+1 (555) 010-0100", "12 parcels", "Mr. Smith", "J. R. Smith", "No. 5", "[our page](u)", "`a b`"],
)
def test_a_long_sentence_is_not_cut_within(whole: str) -> None:
    for before in range(5, 30):
        found = texts(
            f"{'x' * before} {whole} and more and more", phrasing=Phrasing(longest=30, first_clause=30)
        )
        assert any(whole in phrase for phrase in found)


def test_a_word_that_is_too_long_stays_whole() -> None:
    url = "https://example.com/" + "a" * 300
    assert texts(f"See {url} now.") == ["See", url, "now."]


def test_text_without_spaces_is_cut_anywhere() -> None:
    found = texts("字" * 450)
    assert [len(phrase) for phrase in found] == [200, 200, 50]


def test_a_block_of_code_is_one_phrase() -> None:
    code = "```py\nprint('a. b')\n\n# Yes. No.\n" + "x = 1\n" * 50 + "```"
    assert texts(f"Look here:\n{code}\nThat is it.") == ["Look here:", code, "That is it."]
    assert texts("Look:\n```\nan end. There is none") == ["Look:", "```\nan end. There is none"]


# Time


def test_a_slow_model_gives_the_words_so_far() -> None:
    chunker = Chunker()
    assert chunker.deadline is None
    assert chunker.feed("Your par", 10.0) == []
    assert chunker.feed("cel is on", 10.2) == []
    assert chunker.deadline == pytest.approx(10.6)
    assert chunker.overdue(10.5) == []
    assert chunker.overdue(10.6) == [Phrase("Your parcel is", 0, 14)]
    assert chunker.deadline is None
    assert chunker.feed(" its way to you", 20.0) == []
    assert chunker.deadline is None
    assert chunker.finish() == [Phrase("on its way to you", 15, 32)]


def test_a_late_delta_is_overdue_at_once() -> None:
    chunker = Chunker()
    chunker.feed("Your parcel", 10.0)
    assert [phrase.text for phrase in chunker.feed(" is on", 11.0)] == ["Your parcel is"]


@pytest.mark.parametrize("text", ["", "  ", "Your", "You ", "At 5 ", "Mr. ", "```py\nx = 1\n"])
def test_nothing_is_overdue_before_there_is_a_word_to_end_with(text: str) -> None:
    chunker = Chunker()
    assert chunker.feed(text, 0.0) == []
    assert chunker.deadline is None
    assert chunker.overdue(100.0) == []


# Properties

PIECES = st.sampled_from(
    [
        *("word", "Word", "x" * 30, "12", "3.14", "a.m.", "p.m", "Dr", "No", "J", "Monday", "etc", "é"),
        *(" ", " ", "  ", "\n", "\n\n", ".", "...", "!", "?", ",", ":", "—", '"', ")", "(", "**", "😀"),
        *("www.example.com", "+1 (555) 010-0100", "[a b](c d)", "`", "```", "~~~", "\n```"),
        *("字", "。", "」", "！", "।"),
    ]
)
TEXTS = st.one_of(st.lists(PIECES, max_size=60).map("".join), st.text(max_size=200))
LANGUAGES = st.sampled_from(["en-US", "de-DE", "fr", "xx"])
PHRASINGS = st.sampled_from([PHRASING, Phrasing(first_clause=5, clause=10, longest=20, shortest=1)])


@given(TEXTS, st.lists(st.integers(0, 400)), LANGUAGES, PHRASINGS)
def test_the_phrases_do_not_depend_on_the_deltas(
    text: str, cuts: list[int], language: str, phrasing: Phrasing
) -> None:
    chunker = Chunker(phrasing, language)
    places = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    found = []
    for begin, end in pairwise(places):
        found += chunker.feed(text[begin:end], 5.0)
    assert found + chunker.finish() == phrases(text, max(1, len(text)), language, phrasing)


@given(TEXTS, st.lists(st.floats(0, 3), max_size=200), PHRASINGS)
def test_nothing_is_lost_or_said_twice(text: str, pauses: list[float], phrasing: Phrasing) -> None:
    chunker = Chunker(phrasing, "en-US")
    now, found = 0.0, []
    for index, character in enumerate(text):
        now += pauses[index] if index < len(pauses) else 0.0
        found += chunker.overdue(now) + chunker.feed(character, now)
    found += chunker.finish()
    at = 0
    for phrase in found:
        assert text[at : phrase.start].strip() == ""
        assert text[phrase.start : phrase.end] == phrase.text == phrase.text.strip() != ""
        at = phrase.end
    assert text[at:].strip() == ""


@given(TEXTS, PHRASINGS)
def test_only_what_cannot_be_split_is_longer_than_the_limit(text: str, phrasing: Phrasing) -> None:
    for phrase in phrases(text, phrasing=phrasing):
        code = "```" in phrase.text or "~~~" in phrase.text
        assert code or len(phrase.text) <= phrasing.longest or not any(map(str.isspace, phrase.text))
