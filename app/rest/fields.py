"""Sparse answers: ``fields=a,b`` leaves of each resource only what was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from inspect import cleandoc
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, create_model

M = TypeVar("M", bound=BaseModel)


def sparse(schema: type[BaseModel]) -> type[BaseModel]:
    """The schema's fields, none of which must be there: what ``fields`` leaves of it."""
    fields: dict[str, Any] = {}
    for name, info in schema.model_fields.items():
        loose = copy(info)
        loose.default_factory = _nothing  # a default would be shown in the description
        fields[name] = (info.annotation, loose)
    made: type[BaseModel] = create_model(
        f"{schema.__name__}Fields",
        __doc__=f"{cleandoc(schema.__doc__ or '')}\n\nAll of it, unless `fields` names some.",
        __config__=ConfigDict(from_attributes=True),
        **fields,
    )
    return made


def read_fields(text: str, known: Sequence[str]) -> frozenset[str]:
    """The names of a list such as ``id,agent``. Raises ``ValueError`` for one that is not known."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise ValueError(f"must be some of {', '.join(known)}, with commas between them")
    return frozenset(names)


def only(resource: BaseModel, fields: frozenset[str] | None, loose: type[M]) -> M:
    """The fields of a resource that were asked for, as its sparse schema; ``None``: all."""
    names = [name for name in type(resource).model_fields if fields is None or name in fields]
    return loose.model_construct(set(names), **{name: getattr(resource, name) for name in names})


def _nothing() -> None:
    return None
