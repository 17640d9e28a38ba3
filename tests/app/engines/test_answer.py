from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.engines.mt.answer import SpokenAnswer
from app.engines.mt.phrase import clean, pieces


def said(answer: str, phrase: str = "Where is it?", language: str = "Spanish", size: int = 1) -> str:
    spoken = SpokenAnswer(phrase, language)
    parts = [spoken.feed(answer[start : start + size]) for start in range(0, len(answer), size)]
    return "".join((*parts, spoken.finish()))


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize("answer", [
    "¿Dónde está?",
    '"¿Dónde está?"',
    "“¿Dónde está?”\n",
    "« ¿Dónde está? »",
    "'¿Dónde está?'",
    "Translation: ¿Dónde está?",
    'Translation: "¿Dónde está?"',
    "**Translation:** ¿Dónde está?",
    "Spanish: ¿Dónde está?",
    "Spanish (Mexico): ¿Dónde está?",
    "Spanish translation:\n¿Dónde está?",
    "In Spanish: ¿Dónde está?",
    "Traducción: «¿Dónde está?»",
    "Sure, here is the translation into Spanish:\n\n“¿Dónde está?”",
    "The translation is: ¿Dónde está?",
    "\n\n  ¿Dónde está?  \n",
    "**¿Dónde está?**",
    "¿Dónde está?\n\nNote: it could also be a parcel.",
    '"¿Dónde está?"\n \n(Literally: where is it?)',
    "¿Dónde\nestá?",
])  # fmt: skip
def test_what_models_put_around_a_translation_is_not_said(answer: str, size: int) -> None:
    assert said(answer, size=size) == "¿Dónde está?"


@pytest.mark.parametrize(("phrase", "answer"), [
    ("Sure, I can come.", "Sure, I can come."),
    ("Here is my number: five, five.", "Here is my number: five, five."),
    ("Translation: a word with eleven letters.", "Translation: a word with eleven letters."),
    ('"Yes", he said.', '"Sí", dijo.'),
    ("Don't.", "Don't."),
    ("It's the dogs'", "Es de los perros'"),
    ("In Spanish, please.", "In Spanish, please."),
    ("Five stars", "5 * 3"),
    ("I need a translation, the contract.", "Necesito una traducción: el contrato."),
    ("This translation has one problem, the date.", "Esta traducción tiene un problema: la fecha."),
    ("El traductor dice que está enfermo.", "The translator says: he is ill."),
    ("The price is that of the translation, ten.", "Sure, the price of a translation is this: ten."),
])  # fmt: skip
@pytest.mark.parametrize("size", [1, 5, 1000])
def test_what_belongs_to_the_phrase_is_said(phrase: str, answer: str, size: int) -> None:
    assert said(answer, phrase, size=size) == answer


@pytest.mark.parametrize(("language", "answer"), [
    ("German", "Der Übersetzer sagt: Er ist krank."),
    ("German", "Übersetzer sagen: Er ist krank."),
    ("Polish", "Tłumacz mówi: jest chory."),
    ("Russian", "Переводчик говорит: он болен."),
    ("Ukrainian", "Перекладач каже: він хворий."),
])  # fmt: skip
@pytest.mark.parametrize("size", [1, 5, 1000])
def test_a_translator_who_speaks_is_no_label(language: str, answer: str, size: int) -> None:
    assert said(answer, "The translator says he is ill.", language, size) == answer


@pytest.mark.parametrize("answer", ["", " \n ", "**", "Translation:", "Translation: \n"])
def test_nothing_is_nothing(answer: str) -> None:
    assert said(answer) == ""


def test_an_answer_that_begins_like_no_label_is_said_at_once() -> None:
    assert SpokenAnswer("Where is it?", "Spanish").feed("¿Dón") == "¿Dón"


@pytest.mark.parametrize(("answer", "held"), [
    ("The parcel is at the office", "The "),
    ("In Station Road it will be there", "In S"),
    ("In the office", "In the of"),
    ("Here it is, at the office", "Here i"),
    ("Here is my number. Write", "Here is "),
    ("Okay, we wait", "Okay, "),
    ("Of course we wait", "Of course "),
    ("Certainly not", "Certainly "),
    ("The English spoken there", "The English s"),
    ("English (that of Wales) spoken", "English (that of Wales)"),
    ("Translation is my job", "Translation is my job"),
    ("Translation " + "is my job and yours " * 3, "Translation is my job and yours is my job and yo"),
    ("I wait", "I"),
])  # fmt: skip
def test_what_begins_as_a_label_is_held_no_longer_than_it_may_be_one(answer: str, held: str) -> None:
    spoken = SpokenAnswer("Ahí está mi número.", "English")
    waiting = ""
    for char in answer:
        if spoken.feed(char):
            break
        waiting += char
    assert waiting == held


PIECES = (
    "Sure, ", "here is ", "the ", "The ", "price ", "Translation", "translator ", "traducción ", "Spanish",
    " (Mexico", ")", "**", '"', ":", "：", " ", "\n", ".", "¿Dónde está?", "a long word after it",
)  # fmt: skip
LABELLED = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)


@given(st.text(max_size=120) | LABELLED, st.integers(1, 9))
def test_however_it_is_cut_the_same_is_said(answer: str, size: int) -> None:
    assert said(answer, size=size) == said(answer, size=1000)


@given(st.text(max_size=200))
def test_a_clean_text_is_one_line_that_can_be_sent(text: str) -> None:
    found = clean(text)
    found.encode()
    assert found == " ".join(found.split())
    assert clean(found) == found


def test_words_in_any_script_are_kept() -> None:
    text = "Müller, 北京, привет, مرحبا 5"
    assert clean(text) == text


@given(st.text(alphabet="ab .!?。", max_size=300), st.integers(1, 40))
def test_pieces_are_short_and_lose_nothing(text: str, characters: int) -> None:
    whole = clean(text)
    cut = pieces(whole, characters)
    assert all(0 < len(piece) <= characters for piece in cut)
    assert "".join("".join(cut).split()) == "".join(whole.split())


def test_pieces_end_with_sentences() -> None:
    assert pieces("One two. Three four. Five", 14) == ["One two.", "Three four.", "Five"]
    assert pieces("version 1.5 is out", 12) == ["version 1.5", "is out"]
