from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.engines.wire import Unpacker, pack

MESSAGES = st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=40)), max_size=6)


@given(MESSAGES, st.lists(st.integers(0, 250), max_size=8))
def test_messages_survive_any_cut(messages: list[tuple[int, bytes]], cuts: list[int]) -> None:
    stream = b"".join(pack(kind, body) for kind, body in messages)
    places = sorted({min(cut, len(stream)) for cut in cuts} | {0, len(stream)})
    unpacker = Unpacker()
    found = []
    for start, end in zip(places, places[1:], strict=False):  # noqa: RUF007
        found += list(unpacker.feed(stream[start:end]))
    assert found == messages


def test_every_truncation_waits_for_the_rest() -> None:
    stream = pack(7, b"hello") + pack(8)
    for cut in range(len(stream)):
        unpacker = Unpacker()
        first = list(unpacker.feed(stream[:cut]))
        assert first + list(unpacker.feed(stream[cut:])) == [(7, b"hello"), (8, b"")]
