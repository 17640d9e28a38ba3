"""Words that two decodings agree on stay."""

from __future__ import annotations

import dataclasses

from app.engines.ports import RecognisedWord
from app.engines.stt.agreement import Agreement


def words(text: str, start: int = 0, each: int = 2000) -> list[RecognisedWord]:
    return [
        RecognisedWord(f" {word}", start + index * each, start + (index + 1) * each)
        for index, word in enumerate(text.split())
    ]


def committed(agreement: Agreement) -> str:
    return "".join(word.text for word in agreement.committed).strip()


def test_words_stay_once_two_decodings_agree() -> None:
    agreement = Agreement()
    agreement.hear(words("where is"))
    assert (agreement.text, committed(agreement)) == ("where is", "")
    agreement.hear(words("where it my"))
    assert (agreement.text, committed(agreement)) == ("where it my", "where")
    agreement.hear(words("where it my parcel"))
    assert (agreement.text, committed(agreement)) == ("where it my parcel", "where it my")
    agreement.hear(words("here is my parcel now"))
    assert agreement.text == "where it my parcel now"


def test_case_and_punctuation_make_no_other_word() -> None:
    agreement = Agreement()
    agreement.hear(words("Where is."))
    agreement.hear(words("where, is it?"))
    assert (agreement.text, committed(agreement)) == ("where, is it", "where, is")


def test_a_later_window_hears_committed_words_again() -> None:
    agreement = Agreement()
    for _ in range(2):
        agreement.hear(words("where is my parcel"))
    assert agreement.slide(5000) == 6000  # where "parcel" begins
    agreement.hear(words("parcel today", start=6000))
    assert agreement.text == "where is my parcel today"
    late = [dataclasses.replace(word, start=word.start + 1500) for word in words("parcel today", start=6500)]
    agreement.hear(late)
    assert committed(agreement) == "where is my parcel today"


def test_a_word_said_twice_is_heard_twice() -> None:
    agreement = Agreement()
    for _ in range(2):
        agreement.hear(words("no", each=2000))
    agreement.hear([*words("no"), *words("no", start=6000)])
    assert agreement.text == "no no"


def test_words_that_the_window_leaves_behind_stay() -> None:
    agreement = Agreement()
    agreement.hear(words("one two three"))
    assert agreement.slide(4000) == 4000
    assert committed(agreement) == "one two"
    agreement.hear([])
    assert agreement.text == "one two"


def test_words_without_spaces_between_them() -> None:
    agreement = Agreement()
    heard = [
        RecognisedWord("你", 0, 1000),
        RecognisedWord("好", 1000, 2000),
        RecognisedWord("。", 2000, 2000),
    ]
    agreement.hear(heard)
    assert agreement.text == "你好"
