from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from app.privacy import CallTurn, Finding, Kind, Side, Span, find, redact, redact_text
from app.privacy import language as languages
from app.privacy.language import Cue, Label, language_of
from app.voice.events import Backchannel


def call(*lines: str, language: str | None = "en") -> list[CallTurn]:
    """Turns of "caller: ..." and "agent: ..." lines; an agent's line belongs to the turn before it."""
    turns: list[CallTurn] = []
    for line in lines:
        who, _, text = line.partition(": ")
        if who == "caller":
            turns.append(CallTurn(len(turns), caller_text=text, caller_language=language))
        elif turns and not turns[-1].reply_text:
            turns[-1] = replace(turns[-1], reply_text=text, heard_text=text)
        else:
            turns.append(CallTurn(len(turns), reply_text=text, heard_text=text))
    return turns


def text_of(turn: CallTurn, finding: Finding) -> str:
    texts = {Side.CALLER: turn.caller_text, Side.REPLY: turn.reply_text, Side.HEARD: turn.heard_text}
    return texts[finding.side][finding.begin : finding.end]


def found(turns: list[CallTurn], language: str = "en") -> list[tuple[int, Side, Kind, str]]:
    return [
        (f.turn, f.side, f.kind, text_of(turns[f.turn], f)) for f in find(turns, language) if f.side in _SIDES
    ]


_SIDES = {Side.CALLER, Side.HEARD}


def test_a_card_number_is_found_over_four_turns() -> None:
    turns = call(
        "agent: Thanks. What is your card number?",
        "caller: four one one one",
        "agent: Go on.",
        "caller: one one one one",
        "agent: Mm-hmm.",
        "caller: one one eleven",
        "agent: And the rest?",
        "caller: eleven oh one",
        "agent: Thank you. How many tickets would you like?",
        "caller: twenty four",
    )
    assert found(turns) == [
        (1, Side.CALLER, Kind.CARD_NUMBER, "four one one one"),
        (2, Side.CALLER, Kind.CARD_NUMBER, "one one one one"),
        (3, Side.CALLER, Kind.CARD_NUMBER, "one one eleven"),
        (4, Side.CALLER, Kind.CARD_NUMBER, "eleven oh one"),
    ]


def test_what_the_agent_repeats_is_found_too() -> None:
    turns = call(
        "agent: May I have your account number?",
        "caller: seven seven four two nine one",
        "agent: That was 774 291, thank you. Your parcel has number 55512 and comes at 9.",
    )
    assert (1, Side.HEARD, Kind.ACCOUNT_NUMBER, "774 291") in found(turns)
    assert len(found(turns)) == 2


def test_a_cue_of_the_caller_holds_for_his_next_turn() -> None:
    turns = call("caller: my phone number is", "agent: Yes?", "caller: five five five oh one two three")
    assert found(turns) == [(1, Side.CALLER, Kind.PHONE, "five five five oh one two three")]


def test_the_callers_own_cue_counts_more_than_the_question() -> None:
    turns = call(
        "agent: What is your account number?", "caller: my order number is one two three four five six"
    )
    assert found(turns) == []


def test_an_answer_to_another_question_is_no_account_number() -> None:
    asked = "agent: What is your parcel number?"
    assert found(call(asked, "caller: one two three four five six seven eight")) == []


def test_a_name_is_found_wherever_it_is_said_again() -> None:
    turns = call(
        "agent: Am I speaking with Mrs Okonkwo?",
        "caller: yes this is adaeze okonkwo speaking",
        "agent: Thank you, Adaeze. It is spelled O K O N K W O, right?",
        "caller: yes okonkwo",
    )
    assert [item[3] for item in found(turns)] == [
        "Mrs Okonkwo", "adaeze okonkwo", "Adaeze", "O K O N K W O", "okonkwo",
    ]  # fmt: skip


def test_a_name_that_is_also_a_word_is_only_found_where_it_is_a_name() -> None:
    turns = call("caller: my name is will", "agent: Thanks, Will.", "caller: when will it arrive")
    assert [item[3] for item in found(turns)] == ["will", "Will"]


def test_a_correction_belongs_to_the_number() -> None:
    turns = call("caller: my account number is four one no sorry four two nine nine three thanks")
    assert [item[3] for item in found(turns)] == ["four one no sorry four two nine nine three"]


def test_a_number_cut_off_by_the_caller_is_found_in_what_was_heard() -> None:
    reply = "Your card number is 4111 1111 1111 1111."
    turn = CallTurn(0, reply_text=reply, heard_text="Your card number is 41")
    heard = [finding for finding in find([turn], "en") if finding.side is Side.HEARD]
    assert [(f.kind, f.begin, f.end) for f in heard] == [(Kind.CARD_NUMBER, 20, 22)]


def test_what_is_said_over_the_agent_is_looked_through() -> None:
    asked = "What is your PIN?"
    over = (
        Backchannel("mhm", "backchannel", 1.0, 1.2),
        Backchannel("four eight one five", "noise", 2.0, 3.5),
    )
    (finding,) = find([CallTurn(3, reply_text=asked, heard_text=asked, backchannels=over)], "en")
    assert (finding.turn, finding.side, finding.part, finding.audio) == (3, Side.BACKCHANNEL, 1, (2.0, 3.5))
    redacted = redact([CallTurn(3, backchannels=over)], [finding])
    assert [backchannel.text for backchannel in redacted[0].backchannels] == ["mhm", "[pin]"]


def test_keys_are_an_answer_as_words_are() -> None:
    turns = call("agent: Please enter your card number.", "caller: 4 2 4 2 4 2 4 2 4 2 4 2 4 2 4 2")
    assert [item[2] for item in found(turns)] == [Kind.CARD_NUMBER]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("meine karte ist 4111 1111 1111 1111", Kind.CARD_NUMBER),
        ("schreiben sie an anna.k@example.de bitte", Kind.EMAIL),
        ("die iban lautet DE89 3704 0044 0532 0130 00", Kind.IBAN),
        ("rufen sie mich an +49 30 901820", Kind.PHONE),
    ],
)
def test_a_language_without_patterns_has_its_written_forms_found(text: str, kind: Kind) -> None:
    assert [item[2] for item in found(call(f"caller: {text}", language="de"), "de")] == [kind]
    assert found(call("caller: meine nummer ist eins zwei drei", language="de"), "de") == []


def test_the_language_the_caller_was_heard_in_counts() -> None:
    turns = call("caller: my account number is one two three four five six")
    assert [item[2] for item in found(turns, "xx")] == [Kind.ACCOUNT_NUMBER]


def test_another_language_is_one_object(monkeypatch: pytest.MonkeyPatch) -> None:
    english = language_of("en")
    assert english is not None
    own: dict[str, Any] = {
        "tag": "de",
        "digits": {"null": "0", "eins": "1", "zwo": "2", "zwei": "2", "drei": "3", "vier": "4", "fünf": "5"},
        "cues": (Cue(Label.ACCOUNT, "kundennummer"),),
        "links": frozenset({"ist", "lautet"}),
    }
    german = replace(english, **own)
    monkeypatch.setitem(languages._BY_TAG, "de", german)
    turns = call("caller: meine kundennummer lautet eins zwo drei vier fünf danke", language="de-AT")
    assert [item[3] for item in found(turns, "de-AT")] == ["eins zwo drei vier fünf"]


def test_a_models_names_are_taken_as_they_are_given() -> None:
    def entities(texts: object) -> list[list[tuple[int, int]]]:
        return [[(5, 10)]]

    turn = CallTurn(0, caller_text="yeah xyzzy came by")
    assert [(f.begin, f.end, f.kind) for f in find([turn], "en", entities=entities)] == [(5, 10, Kind.NAME)]


def test_a_name_that_the_model_found_is_known_in_the_rest_of_the_call() -> None:
    def entities(texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        return [[(text.index("Xyzzy"), text.index("Xyzzy") + 5)] if "Xyzzy" in text else [] for text in texts]

    turns = call("caller: yeah Xyzzy came by", "agent: I see.", "caller: then xyzzy left")
    names = [text_of(turns[f.turn], f) for f in find(turns, "en", entities=entities)]
    assert names == ["Xyzzy", "xyzzy"]


def test_the_year_of_a_birthday_is_only_a_year_elsewhere() -> None:
    turns = call(
        "caller: my date of birth is 03051985", "agent: Thank you.", "caller: it was in 1985 that i came"
    )
    assert [item[3] for item in found(turns)] == ["03051985"]


def test_national_numbers_are_known_of_the_regions_given() -> None:
    turn = CallTurn(0, caller_text="ring 030 901820 then")
    assert find([turn], "xx", regions=("US",)) == ()
    assert [f.kind for f in find([turn], "xx", regions=("DE",))] == [Kind.PHONE]


def test_an_empty_call_has_nothing() -> None:
    assert find([], "en") == ()
    assert find([CallTurn(0)], "en") == ()
    assert redact_text("x", [Span(0, 1, Kind.NAME)]) == "[name]"


def test_a_call_of_twenty_turns_takes_little_time() -> None:
    says = (
        "my name is john smith and i ordered something on the third of may",
        "sure it's four one one one one one one one one one one one one one one one",
        "john dot smith at gmail dot com",
        "i was wondering whether my parcel has come because i paid forty five dollars for it",
    )
    reply = "Thank you very much, John. Could you please tell me your account number, digit by digit?"
    turns = [
        CallTurn(n, caller_text=says[n % len(says)], reply_text=reply, heard_text=reply) for n in range(20)
    ]
    find(turns, "en")  # reads the tables
    seconds = []
    for _ in range(5):
        began = time.perf_counter()
        find(turns, "en")
        seconds.append(time.perf_counter() - began)
    assert min(seconds) < 0.1
