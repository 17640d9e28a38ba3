"""The stable prefix of interims."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.voice.stabilizer import Stabilizer, common_prefix

WORDS = st.sampled_from(["where", "is", "my", "parcel", "par", "cell", "the", "now"])
SENTENCE = st.lists(WORDS, max_size=8).map(" ".join)
ANY_TEXT = st.text(st.sampled_from("ab 駅はどこ, की"), max_size=12)


def stable_after(interims: Sequence[str], agreeing: int = 3) -> str:
    stabilizer = Stabilizer(agreeing)
    return "".join(stabilizer.update(interim) for interim in interims)


def test_words_are_stable_once_the_last_interims_agree() -> None:
    stabilizer = Stabilizer(3)
    assert stabilizer.update("where is") == ""
    assert stabilizer.update("where is my") == ""
    assert stabilizer.update("where is my part") == "where"
    assert stabilizer.update("where is my parcel") == " is"
    assert stabilizer.update("where is my parcel now") == " my"
    assert stabilizer.stable == "where is my"


@pytest.mark.parametrize(
    ("interims", "stable"),
    [
        (("par", "par", "par"), ""),  # the word may go on
        (("par cel", "parcel", "parcel "), ""),
        (("my parcel is", "my parking is", "my parcel is"), "my"),
        (("", "", ""), ""),
        (("駅はど", "駅はどこ", "駅はどこで"), "駅は"),
        (("को की", "को की", "को की"), "को"),
        (("タクシーを", "タクシーを", "タクシーを"), "タクシー"),
    ],
)
def test_a_word_that_may_go_on_is_held_back(interims: tuple[str, ...], stable: str) -> None:
    assert stable_after(interims) == stable


def test_an_interim_that_contradicts_takes_nothing_back() -> None:
    stabilizer = Stabilizer(2)
    stabilizer.update("two nine three")
    assert stabilizer.update("two nine three") == "two nine"
    assert stabilizer.update("to mine") == ""
    assert stabilizer.update("to mine") == ""
    assert stabilizer.stable == "two nine"
    stabilizer.update("two nine four five")
    assert stabilizer.update("two nine four five") == " four"


@pytest.mark.parametrize(
    ("final", "added", "contradicted"),
    [
        ("two nine three four", " three four", False),
        ("Two, nine.", ".", False),
        ("two nine", "", False),
        ("two five", "", True),
        ("two", "", True),
        ("", "", True),
    ],
)
def test_a_final_adds_the_rest_or_contradicts(final: str, added: str, contradicted: bool) -> None:
    stabilizer = Stabilizer(2)
    stabilizer.update("two nine three")
    stabilizer.update("two nine three")
    assert stabilizer.finish(final) == added
    assert stabilizer.contradicted is contradicted
    stabilizer.reset()
    assert (stabilizer.stable, stabilizer.contradicted) == ("", False)
    assert stabilizer.update("where") == ""


def test_one_interim_cannot_agree_with_itself() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        Stabilizer(1)


@given(st.lists(ANY_TEXT, max_size=12), st.integers(2, 5))
def test_what_was_given_out_only_grows(interims: list[str], agreeing: int) -> None:
    stabilizer = Stabilizer(agreeing)
    given_out = ""
    for count, interim in enumerate(interims, 1):
        new = stabilizer.update(interim)
        given_out += new
        assert stabilizer.stable == given_out
        if new:
            assert count >= agreeing
            assert common_prefix(interims[count - agreeing : count]).startswith(given_out)


@given(st.lists(SENTENCE, min_size=3, max_size=3))
def test_only_whole_words_are_given_out(interims: list[str]) -> None:
    stable = stable_after(interims).split()
    for interim in interims:
        assert interim.split()[: len(stable)] == stable


@given(SENTENCE)
def test_interims_that_only_grow_are_confirmed_by_their_final(sentence: str) -> None:
    words = sentence.split()
    stabilizer = Stabilizer(3)
    for count in range(len(words) + 1):
        stabilizer.update(" ".join(words[:count]))
    before = stabilizer.stable
    assert before + stabilizer.finish(sentence) == sentence
    assert not stabilizer.contradicted
