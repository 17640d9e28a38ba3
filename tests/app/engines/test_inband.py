from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.engines.llm.inband import InbandFilter


def spoken(text: str, cuts: list[int]) -> str:
    places = sorted({min(cut, len(text)) for cut in cuts} | {0, len(text)})
    think = InbandFilter()
    pieces = [think.feed(text[start:end]) for start, end in pairwise(places)]
    return "".join(pieces) + think.finish()


CASES = [
    ("Hello.", "Hello."),
    ("<think>I should greet.</think>\n\nHello.", "Hello."),
    ("<think></think>Hello.", "Hello."),
    ("A<think>b</think> c", "A c"),
    ("<THINK>x</Think>Hello.", "Hello."),
    ("<thinking>x</thinking>Hello.", "Hello."),
    ("<think>never ends", ""),
    ("<think>x</think>", ""),
    ("x</think>Hello.", "xHello."),
    ("1 < 2 and <b>3</b>", "1 < 2 and <b>3</b>"),
    ("ends with <thi", "ends with <thi"),
    ("<<think>x</think>y", "<y"),
    ("<think>a < b <think> c</think>d", "d"),
    ("<think>I could use a <tool_call> here, but no.</think>Good day.", "Good day."),
    ("<thinking>or </tool_call>, no</thinking>Good day.", "Good day."),
    ("", ""),
]


@pytest.mark.parametrize(("text", "expected"), CASES)
@given(cuts=st.lists(st.integers(0, 60), max_size=10))
def test_thoughts_are_not_spoken_however_the_tokens_are_cut(
    text: str, expected: str, cuts: list[int]
) -> None:
    assert spoken(text, cuts) == expected


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_letter_by_letter(text: str, expected: str) -> None:
    assert spoken(text, list(range(len(text)))) == expected


def test_text_is_not_held_back_longer_than_it_may_become_a_tag() -> None:
    think = InbandFilter()
    assert think.feed("Hello ") == "Hello "
    assert think.feed("<") == ""
    assert think.feed("t") == ""
    assert think.feed("o> you") == "<to> you"


@given(st.text())
def test_any_text_is_taken(text: str) -> None:
    spoken(text, [])


CALL = '{"name": "look_up", "arguments": {"key": "1 < 2 <think>"}}'
CALLS = [
    (f"<tool_call>{CALL}</tool_call>", "", [CALL]),
    (f"One moment.\n<tool_call>\n{CALL}\n</tool_call>", "One moment.\n", [CALL]),
    (f"<think>x</think><tool_call>{CALL}</tool_call><tool_call>{{}}</tool_call>", "", [CALL, "{}"]),
    (f"<tool_call>{CALL}", "", [CALL]),
    ("<tool_call></tool_call>Hello.", "Hello.", [""]),
    ("<think>a <tool_call>b</tool_call> c</think>Hello.", "Hello.", []),
]


@pytest.mark.parametrize(("text", "said", "calls"), CALLS)
def test_tool_calls_are_kept_and_not_spoken_wherever_they_are_cut(
    text: str, said: str, calls: list[str]
) -> None:
    for cut in range(len(text) + 1):
        inband = InbandFilter()
        assert inband.feed(text[:cut]) + inband.feed(text[cut:]) + inband.finish() == said
        assert inband.calls == calls
