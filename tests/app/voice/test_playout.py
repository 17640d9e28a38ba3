from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.engines.ports import WordMark
from app.voice.playout import MARK_EVERY, Playout

TEXT = "one two three four"
WORDS = (WordMark(0, 0), WordMark(4, 4000), WordMark(8, 8000), WordMark(14, 12000))


def spoken(now: float = 0.0) -> Playout:
    """A phrase of four words, half a second each, sent at once."""
    playout = Playout(7)
    playout.begin_phrase(0, TEXT, 0)
    playout.add_words(WORDS)
    playout.add_sent(16000, now)
    playout.end_phrase(16000)
    return playout


def test_the_lead_is_what_was_sent_and_not_heard() -> None:
    playout = spoken()
    assert playout.lead(0.0) == 2.0
    assert playout.lead(0.5) == 1.5
    assert playout.lead(3.0) == 0.0
    assert playout.ends_at(0.5) == 2.0


@pytest.mark.parametrize(
    ("at", "heard"),
    [
        (0.0, ""),
        (0.2, ""),
        (0.3, "one "),
        (0.74, "one "),
        (0.76, "one two "),
        (1.3, "one two three "),
        (2.1, TEXT),
    ],
)
def test_a_word_is_heard_from_its_half(at: float, heard: str) -> None:
    assert TEXT[: spoken().heard_chars(at)] == heard


def test_without_word_times_the_share_of_the_audio_counts_down_to_a_word() -> None:
    playout = Playout(1)
    playout.begin_phrase(0, TEXT, 0)
    playout.add_sent(16000, 0.0)
    playout.end_phrase(16000)
    assert TEXT[: playout.heard_chars(1.0)] == "one two "


def test_audio_after_a_pause_starts_a_new_clock() -> None:
    playout = Playout(1)
    playout.begin_phrase(0, "one", 0)
    playout.add_sent(8000, 0.0)
    playout.end_phrase(8000)
    playout.begin_phrase(4, "two", 8000)
    playout.add_sent(8000, 5.0)  # the carrier had been dry for four seconds
    assert playout.heard(5.5) == 12000


def test_a_clear_freezes_what_was_heard() -> None:
    playout = spoken()
    name = playout.new_mark()
    playout.clear(0.8)
    assert playout.heard(9.0) == 6400
    assert not playout.mark_played(name, 0.9)  # cleared marks come back too; they prove nothing


def test_a_mark_proves_what_was_heard_and_names_its_reply() -> None:
    playout = Playout(7)
    playout.begin_phrase(0, "x", 0)
    playout.add_sent(MARK_EVERY - 1, 0.0)
    assert not playout.mark_due()
    playout.add_sent(1, 0.0)
    assert playout.mark_due()
    name = playout.new_mark()
    assert name.split(".")[0] == "7"
    assert playout.mark_played(name, 0.1)
    assert playout.heard(0.1) == MARK_EVERY
    assert playout.all_heard
    assert not playout.mark_played(name, 0.2)
    assert not playout.mark_played("6.1", 0.2)


def test_a_carrier_that_stalls_is_believed() -> None:
    """Marks that come later than the quickest show that less was heard than our clock says."""
    playout = Playout(1, round_trip=0.05)
    playout.begin_phrase(0, TEXT, 0)
    playout.add_words(WORDS)
    playout.add_sent(4000, 0.0)
    name = playout.new_mark()
    playout.add_sent(12000, 0.0)
    playout.end_phrase(16000)
    playout.mark_played(name, 1.05)  # expected at 0.55: the carrier is half a second late
    assert playout.heard(1.05) == pytest.approx(4000 + 0.05 * 8000, abs=2)


@given(
    st.lists(st.tuples(st.sampled_from(["send", "mark", "echo", "wait"]), st.integers(1, 8000)), max_size=50)
)
def test_what_was_heard_only_grows_and_never_exceeds_what_was_sent(steps: list[tuple[str, int]]) -> None:
    playout, now, marks = Playout(1), 0.0, list[str]()
    playout.begin_phrase(0, TEXT, 0)
    last = 0
    for kind, amount in steps:
        match kind:
            case "send":
                playout.add_sent(amount, now)
            case "mark":
                marks.append(playout.new_mark())
            case "echo" if marks:
                playout.mark_played(marks.pop(0), now)
            case _:
                now += amount / 8000
        heard = playout.heard(now)
        assert 0 <= heard <= playout.sent
        assert heard >= playout.acknowledged
        assert 0 <= playout.heard_chars(now) <= len(TEXT)
        if kind != "echo":
            assert heard >= last
        last = heard
