from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from app.engines.errors import EngineError, EngineUnavailable, RequestRefused
from app.engines.llm.scripted import ScriptedLanguageModel
from app.engines.mt.llm import INSTRUCTIONS, LlmTranslator, language_name
from app.engines.ports import Expectation, Refusal, ToolCall, Translated, TranslationRequest, Working
from tests.fakes.language_model import FakeLanguageModel, Step


async def translate(model: FakeLanguageModel, request: TranslationRequest) -> list[str]:
    engine = LlmTranslator(model)
    await engine.start()
    try:
        return [piece async for piece in engine.translate(request)]
    finally:
        await engine.close()


def ask(text: str = "Where is it?") -> TranslationRequest:
    return TranslationRequest(text, "en-US", "es-MX")


async def test_the_model_is_told_to_interpret_and_what_was_said_before() -> None:
    model = FakeLanguageModel(otherwise=("Hola.",))
    request = TranslationRequest(
        "Hello,\nMeadow.",
        "en-GB",
        "es-MX",
        (Translated("Good day.", "Buenos días."), Translated("¿Quién es?", "Who is it?")),
        (("Meadow Parcel", "Meadow Parcel"), ("parcel", "paquete")),
    )
    await translate(model, request)
    told, asked = model.requests[0].messages
    assert told.role == "system"
    assert "interpreter on a telephone call" in told.text
    assert "English (United Kingdom)" in told.text
    assert "Spanish (Mexico)" in told.text
    assert "Good day. = Buenos días.\n¿Quién es? = Who is it?" in told.text
    assert "parcel = paquete" in told.text
    assert "$" not in told.text + asked.text
    assert (asked.role, asked.text.splitlines()[-1]) == ("user", "Hello, Meadow.")
    assert not model.requests[0].tools


async def test_what_there_is_not_is_not_mentioned() -> None:
    model = FakeLanguageModel(otherwise=("Hola.",))
    await translate(model, ask())
    told = model.requests[0].messages[0].text
    assert "before" not in told
    assert "terms" not in told


async def test_pieces_come_as_the_model_makes_them() -> None:
    model = FakeLanguageModel(otherwise=("¿Dón", "de ", "está?"))
    assert await translate(model, ask()) == ["¿Dón", "de", " está?"]


async def test_a_long_text_is_asked_for_in_pieces_that_know_each_other() -> None:
    model = FakeLanguageModel([("Uno.",), ('"Dos."',)])
    first, second = "One " + "very " * 40 + "long sentence.", "Two is another sentence, " * 4
    assert "".join(await translate(model, ask(f"{first} {second}"))) == "Uno. Dos."
    assert f"{first} = Uno." in model.requests[1].messages[0].text


async def test_only_text_counts() -> None:
    steps: tuple[Step, ...] = (Working(), "Hola.", ToolCall("1", "end_call", {}), Expectation("digits"))
    assert await translate(FakeLanguageModel([steps]), ask()) == ["Hola."]


@pytest.mark.parametrize(("steps", "words"), [
    ((Refusal("I cannot."),), "refuses"),
    (("Ho", Refusal()), "refuses"),
    ((), "no translation"),
    ((" \n",), "no translation"),
    ((ToolCall("1", "end_call", {}),), "no translation"),
    ((EngineError("model", "it failed"),), "model: it failed"),
])  # fmt: skip
async def test_what_is_no_translation_is_an_error(steps: tuple[Step, ...], words: str) -> None:
    with pytest.raises(EngineError, match=words) as caught:
        await translate(FakeLanguageModel([steps]), ask())
    assert "I cannot" not in str(caught.value)
    assert isinstance(caught.value, RequestRefused) is (words == "refuses")


async def test_a_scripted_model_translates_nothing() -> None:
    engine = LlmTranslator(ScriptedLanguageModel())
    await engine.start()
    with pytest.raises(RequestRefused, match="no script"):
        await anext(engine.translate(ask()))


async def test_a_comment_is_not_waited_for() -> None:
    model = FakeLanguageModel([("Hola.", "\n\n", 60.0, "Note: informal.")])
    async with asyncio.timeout(5):
        assert await translate(model, ask()) == ["Hola."]
    assert model.running == 0


async def test_closing_stops_the_model() -> None:
    model = FakeLanguageModel([("Hola ", 60.0, "amigo")])
    engine = LlmTranslator(model)
    await engine.start()
    translation = engine.translate(ask())
    assert await anext(translation) == "Hola"
    assert model.running == 1
    await translation.aclose()
    assert model.running == 0


async def test_it_must_be_started() -> None:
    with pytest.raises(EngineError, match="not started"):
        await anext(LlmTranslator(FakeLanguageModel()).translate(ask()))


@pytest.mark.parametrize("change", [
    ("phrase:", "frase:"), ("  $talk", "  $nothing"), ("  $terms", "  $ 5"),
    ("phrase: |", "phrase: [1]\nx: |"),
    ("instructions: |", "instructions: |\n  $phrase"), ("glossary: |", "\t"), ("", "\ud800"),
])  # fmt: skip
async def test_instructions_that_cannot_be_used_are_named(tmp_path: Path, change: tuple[str, str]) -> None:
    file = tmp_path / "instructions.yaml"
    text = INSTRUCTIONS.read_text(encoding="utf-8").replace(*change, 1)
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(EngineUnavailable, match=r"instructions\.yaml cannot be used: it must have the parts"):
        await LlmTranslator(FakeLanguageModel(), file).start()


async def test_missing_instructions_are_named(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable, match=r"none\.yaml cannot be read"):
        await LlmTranslator(FakeLanguageModel(), tmp_path / "none.yaml").start()


@pytest.mark.parametrize(("tag", "name"), [
    ("en", "English"), ("es-MX", "Spanish (Mexico)"), ("zh-Hant-TW", "Chinese (Taiwan, Traditional)"),
    ("de_AT", "German (Austria)"), ("xx-yy", "xx-yy"), ("", ""),
])  # fmt: skip
def test_languages_have_names(tag: str, name: str) -> None:
    assert language_name(tag) == name
