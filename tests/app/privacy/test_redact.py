from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from app.privacy import CallTurn, Finding, Kind, RedactedTurn, Side, find, redact
from app.voice.events import Backchannel, CallerWord
from tests.app.privacy.marked import load, spoken

WORDS = """
    my name is john will the card number account phone email at dot gmail com one two double oh for to hundred
    thousand and no sorry third of may nineteen eighty five j o h n born expires [card number] [name] , . ? -
    @ 4111 12 +44 $ order spelled this speaking plus underscore iban g b eight what's your birthday mrs smith
    GB82 a@b.co call me area code ending in last four it's O'Brien ۱۲۳ ß İ thanks john's 3rd 555-1234 pin
""".split()  # noqa: SIM905 - a list of a hundred would be a page
SPOKEN = st.lists(st.sampled_from(WORDS), max_size=25).map(" ".join)
TEXT = st.one_of(SPOKEN, st.text(max_size=60))


@st.composite
def calls(draw: st.DrawFn) -> list[CallTurn]:
    turns = []
    for index in range(draw(st.integers(1, 4))):
        reply = draw(TEXT)
        cut = draw(st.integers(0, len(reply)))
        heard = draw(st.sampled_from([reply[:cut].strip(), draw(TEXT)]))
        over = tuple(Backchannel(text, "backchannel", 1.0, 2.0) for text in draw(st.lists(TEXT, max_size=1)))
        text = draw(TEXT)
        words = spoken(text, started=10.0 * index)
        kept = tuple(word for number, word in enumerate(words) if draw(st.booleans()) or number == 0)
        turns.append(
            CallTurn(
                index, text, kept, 10.0 * index, 10.0 * index + 9.0, "en", reply, heard, backchannels=over
            )
        )
    return turns


def as_turn(turn: CallTurn, redacted: RedactedTurn) -> CallTurn:
    return replace(
        turn, caller_text=redacted.caller_text, caller_words=redacted.caller_words,
        reply_text=redacted.reply_text, heard_text=redacted.heard_text, backchannels=redacted.backchannels,
    )  # fmt: skip


def text_of(turn: CallTurn, finding: Finding) -> str:
    match finding.side:
        case Side.CALLER:
            return turn.caller_text
        case Side.REPLY:
            return turn.reply_text
        case Side.HEARD:
            return turn.heard_text
        case Side.BACKCHANNEL:
            return turn.backchannels[finding.part].text


@settings(max_examples=250, deadline=None)
@given(calls(), st.sampled_from(["en", "en-GB", "de", ""]))
def test_any_call_can_be_redacted_and_that_is_the_end_of_it(turns: list[CallTurn], language: str) -> None:
    findings = find(turns, language)
    for finding in findings:
        assert 0 <= finding.begin < finding.end <= len(text_of(turns[finding.turn], finding))
        assert finding.audio is None or 0.0 <= finding.audio[0] <= finding.audio[1]
    redacted = redact(turns, findings)
    again = [as_turn(turn, one) for turn, one in zip(turns, redacted, strict=True)]
    assert find(again, language) == ()
    assert redact(again, ()) == redacted


def test_nothing_new_is_found_in_the_redacted_sentences() -> None:
    for name in ("held_out", "fresh"):
        for one in load(name):
            redacted = redact(one.turns, find(one.turns, "en"))
            again = [as_turn(turn, part) for turn, part in zip(one.turns, redacted, strict=True)]
            assert find(again, "en") == (), one.line


def test_text_and_words_have_placeholders() -> None:
    text = "my card is four two four two four two four two four two four two four two four two okay"
    turn = CallTurn(7, text, spoken(text, started=3.0), 3.0, 12.0, "en")
    (redacted,) = redact([turn], find([turn], "en"))
    assert redacted.index == 7
    assert redacted.caller_text == "my card is [card number] okay"
    words = [word.text for word in redacted.caller_words]
    assert words == ["my", "card", "is", *["[card number]"] * 16, "okay"]
    assert [(w.started, w.ended) for w in redacted.caller_words] == [
        (w.started, w.ended) for w in turn.caller_words
    ]


def test_a_word_that_is_not_in_the_text_is_taken_by_its_time() -> None:
    text = "it's 4242 4242 4242 4242 thanks"
    words = (
        CallerWord("it's", 1.0, 1.2), CallerWord("forty-two", 2.0, 2.4), CallerWord("forty-two", 2.5, 3.0),
        CallerWord("thanks", 5.0, 5.5),
    )  # fmt: skip
    turn = CallTurn(0, text, words, 1.0, 5.5, "en")
    (redacted,) = redact([turn], find([turn], "en"))
    placeholder = Kind.CARD_NUMBER.placeholder
    assert [word.text for word in redacted.caller_words] == ["it's", placeholder, placeholder, "thanks"]
