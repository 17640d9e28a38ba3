from __future__ import annotations

import re

import pytest

from app.engines.stt.domain import (
    DIGIT_WORDS,
    DOUBLE,
    LEAD_INS,
    Arc,
    build_domain,
    digits_grammar,
    phrase_words,
    read_pronunciations,
)

KNOWN = {
    word: [f"X{index}"]
    for index, word in enumerate(
        (*DIGIT_WORDS, DOUBLE, *re.findall(r"\w+", "yes no hello goodbye where is my parcel it the number"))
    )
}  # fmt: skip


def test_phrases_become_words_of_the_dictionary() -> None:
    assert phrase_words("Where’s my “Parcel” no. 42?") == [
        "where's", "my", "parcel", "no", "four", "two",
    ]  # fmt: skip


def test_words_without_pronunciation_are_named_and_left_out() -> None:
    domain = build_domain(["where is my zyxel", "Zyxel", "where is my parcel"], KNOWN)
    assert domain.missing == ("zyxel",)
    assert "zyxel" not in domain.arpa
    assert "where is my\n" in domain.arpa
    dictionary = {line.split()[0] for line in domain.dictionary.splitlines()}
    assert dictionary == set(KNOWN)


def test_a_domain_without_phrases_hears_digits_and_yes_and_no() -> None:
    domain = build_domain([], KNOWN)
    assert domain.missing == ()
    assert " yes " in domain.arpa
    assert "nine nine" in domain.arpa


def test_further_pronunciations_are_kept() -> None:
    known = read_pronunciations(["zero Z IH R OW\n", "zero(2) Z IY R OW\n", "\n", "oh OW\n"])
    assert known == {"zero": ["Z IH R OW", "Z IY R OW"], "oh": ["OW"]}
    assert "zero(2) Z" in build_domain([], KNOWN | known).dictionary


def cost(arcs: list[Arc], first: int, last: int, words: list[str]) -> float:
    """The best probability of a way through the grammar; 0: there is none."""
    best = {first: 1.0}

    def rest(reached: dict[int, float]) -> dict[int, float]:
        for _ in range(40):
            for arc in arcs:
                if len(arc) == 3 and arc[0] in reached:
                    reached[arc[1]] = max(reached.get(arc[1], 0.0), reached[arc[0]] * arc[2])
        return reached

    best = rest(best)
    for word in words:
        reached: dict[int, float] = {}
        for arc in arcs:
            if len(arc) == 4 and arc[3] == word and arc[0] in best:
                reached[arc[1]] = max(reached.get(arc[1], 0.0), best[arc[0]] * arc[2])
        best = rest(reached)
    return best.get(last, 0.0)


@pytest.mark.parametrize("length", [1, 2, 5, 20])
def test_a_number_of_the_right_length_is_likeliest(length: int) -> None:
    first, last, arcs = digits_grammar(length)
    assert cost(arcs, first, last, ["one"] * length) > 0
    assert cost(arcs, first, last, ["one"] * (length + 1)) < 1e-3 * cost(arcs, first, last, ["one"] * length)
    assert cost(arcs, first, last, ["one"] * (length + 3)) == 0
    assert cost(arcs, first, last, []) == 0
    assert cost(arcs, first, last, ["one"] * length + ["double"]) == 0


def test_lead_ins_and_doubles_belong_to_a_number() -> None:
    first, last, arcs = digits_grammar(5)
    for lead_in in LEAD_INS:
        assert cost(arcs, first, last, [*lead_in.split(), *["two"] * 5]) > 0
    assert cost(arcs, first, last, ["double", "seven", "zero", "zero", "two"]) > cost(
        arcs, first, last, ["double", "seven", "zero", "zero", "two", "two"]
    )


def test_a_number_of_any_length() -> None:
    first, last, arcs = digits_grammar(None)
    for length in (1, 2, 9, 30):
        assert cost(arcs, first, last, ["four"] * length) > 0
    assert cost(arcs, first, last, []) == 0
