"""What a language model is asked of a call, as JSON Schema, and its answer checked. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from app.postcall.plan import SUMMARY
from app.voice.after_call import AfterCall, AskedField, Criterion

Schema = dict[str, Any]

SENTIMENTS = ("negative", "neutral", "positive")
NONE_FITS = "other"

_TYPES = {"integer": "integer", "number": "number", "boolean": "boolean"}


def summary_schema() -> Schema:
    """A text."""
    return _object({SUMMARY: {"type": "string", "minLength": 1, "maxLength": 4000}})


def classification_schema(after: AfterCall) -> Schema:
    """One of the dispositions, why, and the fields; what is not known is null."""
    properties: Schema = {}
    if after.dispositions:
        names = [disposition.name for disposition in after.dispositions]
        properties["disposition"] = {"type": "string", "enum": [*names, NONE_FITS]}
        properties["reason"] = {"type": "string", "maxLength": 1000}
    if after.fields:
        properties["fields"] = _object({field.name: _field(field) for field in after.fields})
    return _object(properties)


def sentiment_schema(turns: list[int]) -> Schema:
    """Of the whole call, and of each of the caller's turns by its index."""
    feeling = {"type": "string", "enum": list(SENTIMENTS)}
    return _object({"overall": feeling, "turns": _object({str(index): feeling for index in turns})})


def score_schema(criteria: list[Criterion]) -> Schema:
    """A value from 0 to 1 and a reason for each criterion; yes is 1 and no is 0."""
    return _object(
        {
            criterion.name: _object(
                {
                    "value": {"type": "integer", "enum": [0, 1]}
                    if criterion.kind == "yes_no"
                    else {"type": "number", "minimum": 0, "maximum": 1},
                    "reason": {"type": "string", "maxLength": 1000},
                }
            )
            for criterion in criteria
        }
    )


def wrong_date(fields: Sequence[AskedField], values: Mapping[str, Any]) -> str:
    """Which value is a date that the schema takes and there is not; empty: none."""
    for field in fields:
        value = values.get(field.name)
        if field.type == "date" and value is not None and not _is_date(value):
            return f"fields.{field.name} is no date that there is, as YYYY-MM-DD"
    return ""


def _field(field: AskedField) -> Schema:
    schema: Schema = {"description": field.title}
    if field.type == "choice":
        return schema | {"enum": [*field.choices, None]}
    if field.type in _TYPES:
        return schema | {"type": [_TYPES[field.type], "null"]}
    extra = (
        {"maxLength": 10, "pattern": r"^\d{4}-\d{2}-\d{2}$"} if field.type == "date" else {"maxLength": 2000}
    )
    return schema | {"type": ["string", "null"], **extra}


def _object(properties: Schema) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _is_date(value: object) -> bool:
    try:
        date.fromisoformat(str(value))
    except ValueError:
        return False
    return True
