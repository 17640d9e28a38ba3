"""Patterns of agents' fields: what they find, and one that would never end."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import psutil
import pytest

from app.postcall import pattern_worker
from app.postcall.patterns import find_patterns, mismatch
from app.postcall.steps import StepFailed
from app.voice.after_call import AskedField

ENDLESS = AskedField(name="endless", title="t", pattern=r"(\w+\s?)+#")
ORDER = AskedField(name="order", title="t", pattern=r"order \d+")
SENTENCE = "so I would like to know where my parcel is because it should have been here by now"


async def test_the_last_find_of_each_text_is_taken() -> None:
    plain = AskedField(name="plain", title="t")
    texts = ["order 1 and order 2", "", "order ü", "order 3"]
    assert await find_patterns((plain, ORDER), texts) == {"order": ["order 2", None, None, "order 3"]}
    assert await find_patterns((plain,), texts) == {}


async def test_a_value_must_match_as_a_whole() -> None:
    assert await mismatch((ORDER,), {"order": "order 12"}) == ""
    assert await mismatch((ORDER,), {"order": None}) == ""
    assert await mismatch((ORDER,), {"order": "my order 12"}) == r"fields.order does not match order \d+"


@pytest.mark.parametrize("asked", ["found", "matched"])
async def test_a_pattern_without_end_fails_by_name_and_holds_up_nobody(asked: str) -> None:
    late = 0.0

    async def beat() -> None:
        nonlocal late
        while True:
            began = time.monotonic()
            await asyncio.sleep(0.01)
            late = max(late, time.monotonic() - began)

    beating = asyncio.create_task(beat())
    if asked == "found":
        asking: Any = find_patterns((ORDER, ENDLESS), [SENTENCE])
    else:
        asking = mismatch((ORDER, ENDLESS), {"order": "order 1", "endless": SENTENCE})
    with pytest.raises(StepFailed, match=r"the field 'endless' .* longer than 2 s") as caught:
        await asking
    beating.cancel()
    assert caught.value.final
    assert late < 1.0


async def test_one_that_is_no_pattern_is_named_too() -> None:
    broken = AskedField.model_construct(name="broken", title="t", pattern="(")
    with pytest.raises(StepFailed, match=r"the field 'broken' .* check it"):
        await find_patterns((ORDER, broken), ["order 1"])


async def test_its_process_ends_with_who_waits_for_it() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await find_patterns((ENDLESS,), [SENTENCE])
    assert [
        child for child in psutil.Process().children() if pattern_worker.__file__ in child.cmdline()
    ] == []
