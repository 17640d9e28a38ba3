"""A model that knows names of people: any spaCy pipeline that is installed.

It is imported when it is asked for, which takes about 2 s, and belongs in the worker's process.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from app.privacy.find import EntityModel

_PEOPLE = frozenset({"PERSON", "PER", "PRS", "persName"})  # as the pipelines of spaCy's languages call them


class EntityModelError(Exception):
    """The model of names cannot be loaded."""


def load_entities(pipeline: str) -> EntityModel | None:
    """The model of that name or in that folder; ``None`` for an empty name. Raises ``EntityModelError``."""
    if not pipeline:
        return None
    try:
        model: Any = import_module("spacy").load(pipeline)
    except ImportError as error:
        raise EntityModelError(
            f"TRUNKLINE_PRIVACY__ENTITY_MODEL names {pipeline!r}, but spaCy is not installed:"
            " pip install spacy, or leave the setting empty"
        ) from error
    except (OSError, ValueError) as error:
        raise EntityModelError(
            f"TRUNKLINE_PRIVACY__ENTITY_MODEL names {pipeline!r}, which spaCy cannot load:"
            f" install it with python -m spacy download {pipeline}, or leave the setting empty"
        ) from error

    def entities(texts: Sequence[str]) -> Sequence[Sequence[tuple[int, int]]]:
        return [
            [(entity.start_char, entity.end_char) for entity in document.ents if entity.label_ in _PEOPLE]
            for document in model.pipe(texts)
        ]

    return entities
