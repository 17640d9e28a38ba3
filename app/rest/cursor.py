"""A place in a list, as text that its reader need not understand. Pure."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson
from pydantic import TypeAdapter, ValidationError

_MOST_CHARACTERS = 1000


class InvalidCursor(ValueError):
    """Text that is no cursor of this list in this order. The message is for the one who sent it."""


def write_cursor(path: str, sort: str, values: Sequence[Any]) -> str:
    """The place just after the item with these values, in the list at ``path``, in the order ``sort``."""
    written = orjson.dumps([path, sort, *values], default=str)  # asyncpg has a UUID of its own
    return base64.urlsafe_b64encode(written).decode().rstrip("=")


def read_cursor(cursor: str, path: str, sort: str, types: Sequence[type]) -> tuple[Any, ...]:
    """The values that ``write_cursor`` was given, one of each of ``types``.

    Raises ``InvalidCursor``, also for the cursor of another list or order.
    """
    wrong = InvalidCursor("not a cursor of this list; leave it out to begin with the first page")
    if len(cursor) > _MOST_CHARACTERS:
        raise wrong
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        written = orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, binascii.Error):
        raise wrong from None
    if not isinstance(written, list) or len(written) < 2 or written[0] != path:
        raise wrong
    if written[1] != sort:
        raise InvalidCursor(f"a cursor of the order sort={written[1]}, and this asks for sort={sort}")
    if len(written) != len(types) + 2:
        raise wrong
    return tuple(_value(value, kind, wrong) for value, kind in zip(written[2:], types, strict=True))


def _value(value: Any, kind: type, wrong: InvalidCursor) -> Any:
    if not isinstance(value, str if kind not in {int, float} else (int, float)) or isinstance(value, bool):
        raise wrong
    try:
        read: Any = TypeAdapter(kind).validate_python(value)
    except ValidationError:
        raise wrong from None
    if isinstance(read, datetime) and read.tzinfo is None:
        raise wrong
    if isinstance(read, int) and not -(2**63) <= read < 2**63:
        raise wrong
    if isinstance(read, str) and "\x00" in read:
        raise wrong
    return read
