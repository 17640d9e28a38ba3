from __future__ import annotations

import pytest

from app.engines.quotation import quotation, shown_address, shown_host

PHRASE = "Hello Mister John Q Public, your card 4111 1111 1111 1111 was declined."


@pytest.mark.parametrize("said", [
    PHRASE, f"{PHRASE[:40]}...", PHRASE.lower(), f'"{PHRASE} \\"x\\""', "Your card 4111",
    "4111-1111-1111-1111", "no: HELLO\n  MISTER JOHN", PHRASE.replace(" ", "_"),
])  # fmt: skip
def test_what_repeats_the_phrase_is_not_quoted(said: str) -> None:
    assert quotation(f"cannot say {said}", PHRASE) == ""
    assert quotation(f"cannot say {said}")


def test_other_words_are_quoted_on_one_short_line() -> None:
    assert quotation(" out of\n memory: your card has 4 GB", PHRASE) == "out of memory: your card has 4 GB"
    assert quotation("no such voice: ...", "...") == "no such voice: ..."
    assert quotation("x" * 300) == "x" * 200
    assert quotation("", "Hi") == quotation("", "") == ""


def test_a_short_phrase_is_not_quoted_either() -> None:
    assert quotation("cannot say 'No. 4711!'", "no 4711") == ""
    assert quotation("cannot say it", "no 4711") == "cannot say it"


def test_an_address_is_shown_without_user_and_query() -> None:
    url = "wss://me:s3cret@[::1]:99/a/b?token=x#y"
    assert shown_address(url) == "wss://[::1]:99/a/b"
    assert shown_host(url) == "[::1]:99"
    assert shown_address("http://example.com/v1") == "http://example.com/v1"
    assert shown_host("") == ""
