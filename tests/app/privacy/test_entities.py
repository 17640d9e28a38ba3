from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace

import pytest

from app.privacy import CallTurn, find, redact
from app.privacy.entities import EntityModelError, load_entities


def test_no_model_is_asked_for() -> None:
    assert load_entities("") is None


def test_a_missing_library_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "spacy", None)
    with pytest.raises(
        EntityModelError, match="'en_core_web_sm', but spaCy is not installed: pip install spacy"
    ):
        load_entities("en_core_web_sm")


def test_a_missing_pipeline_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(name: str) -> None:
        raise OSError(f"[E050] Can't find model '{name}'")

    install(monkeypatch, load)
    with pytest.raises(EntityModelError, match="python -m spacy download en_core_web_sm"):
        load_entities("en_core_web_sm")


def test_people_that_the_pipeline_finds_are_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipeline as spaCy's are: documents with entities, of which some are people."""

    class Pipeline:
        def pipe(self, texts: list[str]) -> Iterator[SimpleNamespace]:
            for text in texts:
                yield SimpleNamespace(ents=list(self.entities(text)))

        def entities(self, text: str) -> Iterator[SimpleNamespace]:
            for word, label in (("Quentin", "PERSON"), ("Leeds", "GPE")):
                at = text.find(word)
                if at >= 0:
                    yield SimpleNamespace(start_char=at, end_char=at + len(word), label_=label)

    install(monkeypatch, lambda name: Pipeline())
    entities = load_entities("en_any")
    turn = CallTurn(0, caller_text="I met Quentin in Leeds", reply_text="In Leeds.", heard_text="In Leeds.")
    (redacted,) = redact([turn], find([turn], "en", entities=entities))
    assert (redacted.caller_text, redacted.reply_text) == ("I met [name] in Leeds", "In Leeds.")


def install(monkeypatch: pytest.MonkeyPatch, load: object) -> None:
    module = ModuleType("spacy")
    monkeypatch.setattr(module, "load", load, raising=False)
    monkeypatch.setitem(sys.modules, "spacy", module)
