from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.engines.ports import RecognisedWord
from app.voice.events import CallerWord
from app.voice.segment_clock import NOWHERE, SegmentClock


def word(start: int, end: int, confidence: float | None = None) -> RecognisedWord:
    return RecognisedWord("word", start, end, confidence)


def samples(placed: CallerWord) -> tuple[int, int]:
    return round(placed.started * 8000), round(placed.ended * 8000)


def test_words_are_counted_from_where_the_segment_begins() -> None:
    clock = SegmentClock()
    for position in range(8000, 16000, 160):
        clock.push(position, 160)
    placed = clock.finish().place(
        [RecognisedWord(" where", 800, 2400, 0.9), RecognisedWord("is", 2400, 4000)]
    )
    assert placed == (CallerWord("where", 1.1, 1.3, 0.9), CallerWord("is", 1.3, 1.5))


def test_audio_lost_on_the_line_lies_between_words_and_inside_them() -> None:
    clock = SegmentClock()
    clock.push(1000, 100)
    clock.push(1100, 100)
    clock.push(5000, 200)  # 3800 samples are lost
    clock.push(9000, 100)
    segment = clock.finish()
    assert (segment.offsets, segment.positions, segment.length) == ((0, 200, 400), (1000, 5000, 9000), 500)
    expected = {
        (0, 50): (1000, 1050),
        (50, 200): (1050, 1200),  # ends before the gap
        (200, 400): (5000, 5200),  # begins after one, ends before the next
        (150, 250): (1150, 5050),  # over it
        (199, 401): (1199, 9001),
        (400, 500): (9000, 9100),
        (200, 200): (5000, 5000),
    }
    assert {span: samples(segment.place([word(*span)])[0]) for span in expected} == expected


def test_each_segment_has_its_own_place() -> None:
    clock = SegmentClock()
    clock.push(0, 800)
    first = clock.finish()
    clock.push(800, 800)  # goes on where the first one ended
    second = clock.finish()
    clock.push(16000, 800)
    third = clock.finish()
    found = [samples(segment.place([word(80, 160)])[0]) for segment in (third, first, second)]
    assert found == [(16080, 16160), (80, 160), (880, 960)]
    assert clock.end == 16800


def test_what_lies_outside_of_the_audio_lies_at_its_edge() -> None:
    clock = SegmentClock()
    clock.push(1000, 100)
    clock.push(2000, 100)
    segment = clock.finish()
    assert samples(segment.place([word(-50, 20)])[0]) == (1000, 1020)
    assert samples(segment.place([word(150, 900)])[0]) == (2050, 2100)
    assert samples(segment.place([word(900, 950)])[0]) == (2100, 2100)
    assert samples(segment.place([word(180, 20)])[0]) == (2080, 2080)  # it ends before it begins


def test_without_audio_there_is_no_place() -> None:
    clock = SegmentClock()
    assert clock.finish() == NOWHERE
    assert NOWHERE.place([word(0, 100)]) == ()


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(1, 5)), min_size=1),
    st.integers(0, 600),
    st.integers(0, 600),
)
def test_a_word_lies_where_its_samples_were_heard(
    pushes: list[tuple[int, int]], first: int, second: int
) -> None:
    """Against a list that holds the position of every sample; gaps are 0 to 3 samples."""
    clock, heard = SegmentClock(), list[int]()
    for lost, length in pushes:
        position = clock.end + lost
        clock.push(position, length)
        heard += range(position, position + length)
    start, end = sorted((first % len(heard), second % len(heard)))
    (placed,) = clock.finish().place([word(start, end + 1)])
    assert samples(placed) == (heard[start], heard[end] + 1)
