"""Events as bytes of a spool file: what was written is read, and what is damaged costs only itself."""

from __future__ import annotations

import struct
import zlib
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints
from uuid import UUID

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.calls.spool.codec import MARKER, Unencodable, decode, encode, encode_stored
from app.calls.writing.rows import Entry
from app.voice.events import CallRecord
from tests.app.calls.events import noted, whole_call

KINDS = get_args(CallRecord)

PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    float: st.floats(allow_nan=False, allow_infinity=False),
    datetime: st.datetimes(timezones=st.just(UTC)),
    str: st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
    int: st.integers(-(2**63), 2**63 - 1),
}


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Any value of a field's type; JSON has a form for all of them."""
    arguments = get_args(kind)
    if kind in PLAIN:
        return PLAIN[kind]
    if isinstance(kind, type) and is_dataclass(kind):
        hints = get_type_hints(kind)
        return st.builds(kind, **{field.name: values(hints[field.name]) for field in fields(kind)})
    if get_origin(kind) in {Union, UnionType}:
        return st.one_of(*map(values, arguments))
    if get_origin(kind) is dict:
        return st.dictionaries(values(arguments[0]), values(arguments[1]), max_size=4)
    if get_origin(kind) is tuple and arguments[-1] is Ellipsis:
        return st.lists(values(arguments[0]), max_size=4).map(tuple)
    if get_origin(kind) is tuple:
        return st.tuples(*map(values, arguments))
    return st.from_type(kind)


entries = st.lists(st.builds(Entry, st.integers(1, 2**62), st.one_of(*map(values, KINDS))), max_size=6)


def call() -> list[Entry]:
    return [Entry(number, event) for number, event in enumerate(whole_call(), 1)]


def raw(payload: bytes) -> bytes:
    head = struct.pack("<I", len(payload))
    return MARKER + head + struct.pack("<I", zlib.crc32(payload, zlib.crc32(head))) + payload


@settings(max_examples=200)
@given(entries, st.integers(0, 2**62))
def test_what_is_written_is_read(wanted: list[Entry], stored: int) -> None:
    contents = decode(b"".join(map(encode, wanted)) + encode_stored(stored))
    assert contents.entries == wanted
    assert (contents.stored, contents.damaged, contents.torn) == (stored, 0, 0)


def test_a_file_cut_at_any_byte_keeps_what_was_whole() -> None:
    wanted = call()
    records = [encode(entry) for entry in wanted]
    data = b"".join(records)
    ends = [sum(map(len, records[: index + 1])) for index in range(len(records))]
    for cut in range(len(data) + 1):
        contents = decode(data[:cut])
        whole = sum(end <= cut for end in ends)
        assert contents.entries == wanted[:whole]
        assert contents.damaged == 0
        assert contents.torn == cut - ([0, *ends][whole])


@given(st.data())
def test_a_changed_byte_costs_one_record(data: st.DataObject) -> None:
    wanted = call()
    records = [encode(entry) for entry in wanted]
    whole = bytearray(b"".join(records))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))
    hit = next(index for index in range(len(records)) if at < sum(map(len, records[: index + 1])))
    contents = decode(bytes(whole))
    assert contents.entries == wanted[:hit] + wanted[hit + 1 :]
    if hit < len(records) - 1:
        assert (contents.damaged, contents.torn) == (1, 0)
    else:
        assert contents.damaged or contents.torn  # at the end, damage can look like a record half written


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_rubbish_between_records_is_passed_over(before: bytes, between: bytes) -> None:
    first, second = call()[:2]
    contents = decode(before + encode(first) + between + encode(second))
    assert contents.entries == [first, second]
    assert contents.damaged == bool(before) + bool(between)


@given(st.binary(max_size=500))
def test_nothing_in_a_file_raises(data: bytes) -> None:
    decode(data)
    decode(MARKER + data)
    decode(raw(data))


def test_space_that_was_never_written_is_no_damage() -> None:
    entry = call()[0]
    contents = decode(encode(entry) + bytes(4096))
    assert (contents.entries, contents.damaged, contents.torn) == ([entry], 0, 4096)
    half = encode(call()[1])[:80] + bytes(4096)
    assert decode(encode(entry) + half).damaged == 0


def test_fields_of_other_releases() -> None:
    at, call_id = "2026-03-01T12:00:00+00:00", "99eb819c-c7f9-4e89-bee8-948dd60028b8"
    old = {"call_id": call_id, "at": at, "name": "key"}  # without detail, which has a default
    new = old | {"detail": {"key": "5"}, "mood": {"of": ["the", "caller"]}}
    contents = decode(raw(orjson.dumps({"n": 1, "k": "CallNoted", "e": old})))
    contents2 = decode(raw(orjson.dumps({"n": 2, "k": "CallNoted", "e": new, "more": 1})))
    assert [entry.event.call_id for entry in contents.entries + contents2.entries] == [UUID(call_id)] * 2
    assert contents.damaged == contents2.damaged == 0


@pytest.mark.parametrize(
    "payload",
    [
        {"n": 1, "k": "CallSmelled", "e": {}},
        {"n": 1, "k": "CallNoted", "e": {"name": "x"}},
        {"n": "one", "k": "CallNoted", "e": {}},
        {"k": "stored"},
        [],
        None,
    ],
)
def test_records_that_are_not_understood_are_counted(payload: Any) -> None:
    entry = call()[0]
    contents = decode(raw(orjson.dumps(payload)) + encode(entry))
    assert (contents.entries, contents.damaged) == ([entry], 1)


def test_the_layout_stays() -> None:
    """A file of the first release with a spool must stay readable."""
    payload = (
        b'{"n":7,"k":"CallEnded","e":{"call_id":"99eb819c-c7f9-4e89-bee8-948dd60028b8",'
        b'"at":"2026-03-01T12:00:30.000001+00:00","cause":"caller","outcome":"caller","duration":30.5}}'
    )
    head = b"\xf5TL\x01\xaa\0\0\0\xc3{\xb1\x03"
    (entry,) = decode(head + payload).entries
    assert entry.number == 7
    assert encode(entry) == head + payload


def test_what_json_has_no_form_for_is_named_without_its_value() -> None:
    odd = noted(UUID(int=1))
    odd.detail["what"] = "secret \ud83d"
    with pytest.raises(Unencodable, match="CallNoted") as caught:
        encode(Entry(1, odd))
    assert "secret" not in str(caught.value)
