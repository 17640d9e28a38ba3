"""What turn-taking knows of languages."""

from __future__ import annotations

import pytest

from app.voice.language import Language, language_of, normalise

TAGS = ("de", "en", "es", "fr", "hi", "it", "ja", "nl", "pt")


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("Mm-hmm.", "mm hmm"),
        ("I’m fine — really!", "i'm fine really"),
        ("  OKAY,\tright… ", "okay right"),
        ("'quoted' words", "quoted words"),
        ("हाँ, ठीक है।", "हाँ ठीक है"),
        ("はい、そうです。", "はい そうです"),
        ("cafe\u0301", "café"),
        ("?!", ""),
        ("", ""),
    ],
)
def test_text_is_normalised_to_comparable_words(text: str, plain: str) -> None:
    assert normalise(text) == plain
    assert normalise(plain) == plain


@pytest.mark.parametrize("tag", ["en", "en-US", "EN-gb", "en_IN", "en-Latn-US"])
def test_a_tag_falls_back_to_its_base_language(tag: str) -> None:
    assert language_of(tag).tag == "en"


@pytest.mark.parametrize("tag", ["", "xx", "tlh-Latn"])
def test_an_unknown_language_knows_nothing(tag: str) -> None:
    assert language_of(tag) == Language()
    assert not language_of(tag).is_backchannel("yes")


@pytest.mark.parametrize("tag", TAGS)
def test_every_language_has_its_words_in_normal_form(tag: str) -> None:
    language = language_of(tag)
    assert language.tag == tag
    for known in (
        language.backchannels,
        language.hesitations,
        language.answers,
        language.closings,
        language.continuing,
        language.digits,
        language.letters,
    ):
        assert known
        assert {normalise(phrase) for phrase in known} == known


@pytest.mark.parametrize("tag", TAGS)
def test_a_word_that_continues_a_turn_does_not_answer_or_close_it(tag: str) -> None:
    language = language_of(tag)
    assert not language.continuing & (language.answers | language.closings | language.backchannels)


@pytest.mark.parametrize(
    ("tag", "text"),
    [
        ("en-US", "Mm-hmm."),
        ("en-US", "uh-huh, yeah, right"),
        ("en-US", "Okay. I see."),
        ("de-DE", "Ach so, ja."),
        ("es-MX", "Ajá, sí"),
        ("hi-IN", "हाँ, ठीक है।"),
        ("ja-JP", "はい"),
    ],
)
def test_backchannels_are_known_alone_and_in_a_row(tag: str, text: str) -> None:
    assert language_of(tag).is_backchannel(text)


@pytest.mark.parametrize("text", ["", "...", "yeah but wait", "okay where is my parcel", "see i"])
def test_other_words_make_it_no_backchannel(text: str) -> None:
    assert not language_of("en").is_backchannel(text)


def test_an_agent_adds_backchannels_of_its_own() -> None:
    english = language_of("en")
    assert not english.is_backchannel("Righty-ho, yes")
    assert english.is_backchannel("Righty-ho, yes", more=(normalise("righty-ho"),))
