"""Lists in pages: an order out of an allow-list, a cursor for what follows, sparse items."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Query
from pydantic import AfterValidator, BaseModel, WithJsonSchema, create_model
from sqlalchemy import Select, literal, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute
from starlette.requests import Request

from app.errors import Invalid
from app.rest.cursor import InvalidCursor, read_cursor, write_cursor
from app.rest.fields import only, read_fields, sparse

MOST_ITEMS = 200
USUAL_ITEMS = 50

S = TypeVar("S", bound=BaseModel)
Attribute = InstrumentedAttribute[Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """Which part of the list at ``path`` is wanted: in the order ``sort``, after ``after``, and which
    ``fields`` of it."""

    path: str
    limit: int
    sort: str
    after: tuple[Any, ...] | None
    fields: frozenset[str] | None

    @property
    def descending(self) -> bool:
        """Whether the largest comes first."""
        return self.sort.startswith("-")

    @property
    def by(self) -> str:
        """The field that orders."""
        return self.sort.removeprefix("-")

    def cursor_after(self, values: Sequence[Any]) -> str:
        """The cursor for what follows the item with these values of the columns that order."""
        return write_cursor(self.path, self.sort, values)


class Listing(Generic[S]):
    """A list ``{name: [items], "next_cursor": ...}``, of rows that SQL orders.

    ``sorts``: what may order it, by the name of the field; these columns are never null. ``key``: the columns
    that tell two rows apart, and so make the order complete. ``sort``: the usual order, ``-`` for descending.
    """

    def __init__(
        self,
        name: str,
        item: type[S],
        sorts: Mapping[str, Attribute],
        key: Sequence[Attribute],
        sort: str,
    ) -> None:
        self.name = name
        self.fields = tuple(item.model_fields)
        self._item = item
        self._sorts = dict(sorts)
        self._key = tuple(key)
        self._orders = [order for each in sorts for order in (each, f"-{each}")]
        self._usual = sort
        self.loose = sparse(item)
        fields: Any = {name: (list.__class_getitem__(self.loose), ...), "next_cursor": (str | None, ...)}
        self.schema: type[BaseModel] = create_model(
            f"{item.__name__}Page",
            __doc__="Some of a list. `next_cursor` asks for those after them; null: there are none.",
            **fields,
        )

    @property
    def asked(self) -> Callable[..., Asked]:
        """A dependency that reads ``limit``, ``cursor``, ``sort`` and ``fields``. It raises ``Invalid``."""

        def read(
            request: Request, limit: int, cursor: str | None, sort: str, fields: frozenset[str] | None
        ) -> Asked:
            path, after = request.url.path, None
            if cursor is not None:
                try:
                    after = read_cursor(cursor, path, sort, self._types(sort))
                except InvalidCursor as error:
                    raise Invalid("query.cursor", str(error)) from None
            return Asked(path, limit, sort, after, fields)

        parameters = [
            ("request", Request, inspect.Parameter.empty),
            ("limit", Annotated[int, Query(ge=1, le=MOST_ITEMS, description="Items of a page")], USUAL_ITEMS),
            (
                "cursor",
                Annotated[str | None, Query(max_length=1000, description="`next_cursor` of the page before")],
                None,
            ),
            ("sort", one_of(self._orders, "The order; `-` in front: descending"), self._usual),
            ("fields", fields_of(self.fields), None),
        ]
        read.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [
                inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
                for name, kind, default in parameters
            ]
        )
        return read

    def where(self, query: Select[Any], asked: Asked) -> Select[Any]:
        """The query, ordered, from the cursor on, with one row more than a page has."""
        columns = self._columns(asked.sort)
        if asked.after is not None:
            place = tuple_(*(literal(value, column.type) for value, column in zip(asked.after, columns)))  # noqa: B905
            here = tuple_(*columns)
            query = query.where(here < place if asked.descending else here > place)
        order = [column.desc() if asked.descending else column.asc() for column in columns]
        return query.order_by(None).order_by(*order).limit(asked.limit + 1)

    async def rows(
        self, session: AsyncSession, query: Select[Any], asked: Asked
    ) -> tuple[list[Any], str | None]:
        """The page's rows, entities of a ``select`` of one, and the cursor for those after them."""
        found = list(await session.scalars(self.where(query, asked)))
        rows = found[: asked.limit]
        if len(found) <= asked.limit:
            return rows, None
        return rows, asked.cursor_after([getattr(rows[-1], each.key) for each in self._columns(asked.sort)])

    async def answer(self, session: AsyncSession, query: Select[Any], asked: Asked) -> BaseModel:
        """The answer, of rows that are shown by their attributes; see ``rows`` and ``page``."""
        rows, cursor = await self.rows(session, query, asked)
        return self.page([self._item.model_validate(row) for row in rows], cursor, asked)

    def page(self, items: Sequence[S], next_cursor: str | None, asked: Asked) -> BaseModel:
        """The answer: to be returned from a route with ``response_model=listing.schema`` and
        ``response_model_exclude_unset=True``."""
        chosen = [only(item, asked.fields, self.loose) for item in items]
        return self.schema.model_construct(
            {self.name, "next_cursor"}, **{self.name: chosen, "next_cursor": next_cursor}
        )

    def _columns(self, sort: str) -> list[Attribute]:
        first = self._sorts[sort.removeprefix("-")]
        return [first, *(column for column in self._key if column is not first)]

    def _types(self, sort: str) -> list[type]:
        return [column.type.python_type for column in self._columns(sort)]


def one_of(values: Sequence[str], description: str) -> Any:
    """The type of a query parameter that must be one of ``values``."""

    def check(value: str) -> str:
        if value not in values:
            raise ValueError(f"must be one of {', '.join(values)}")
        return value

    schema = WithJsonSchema({"type": "string", "enum": list(values)})
    return Annotated[str, AfterValidator(check), schema, Query(description=description)]


def fields_of(known: Sequence[str]) -> Any:
    """The type of the query parameter ``fields`` over a schema with these fields."""

    def read(value: str | None) -> frozenset[str] | None:
        return None if value is None else read_fields(value, known)

    one = f"({'|'.join(known)})"
    schema = WithJsonSchema({"type": "string", "pattern": f"^{one}(,{one})*$"})
    description = f"Only these fields of each, with commas between them: {', '.join(known)}"
    return Annotated[str | None, AfterValidator(read), schema, Query(description=description)]
