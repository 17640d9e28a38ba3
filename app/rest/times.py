"""Times in queries: with an offset from UTC, and near enough that any period around them can be counted."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import Query
from pydantic import AwareDatetime, Field

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)

Moment = Annotated[AwareDatetime, Field(ge=EARLIEST, le=LATEST)]

Since = Annotated[Moment | None, Query(description="From this time on, with its offset from UTC")]
Until = Annotated[Moment | None, Query(description="Before this time, with its offset from UTC")]
