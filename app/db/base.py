"""The declarative base: constraint names that migrations can rely on, column types of every table."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from sqlalchemy import DateTime, Double, MetaData, Text, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, mapped_column

SCHEMA = "0005"
"""The migration that this code needs: the newest file of ``migrations/versions`` (a test compares them)."""

Timestamp = Annotated[datetime, mapped_column(DateTime(timezone=True))]
"""Wall time: aware UTC in Python, ``timestamptz`` in the database."""

CreatedAt = Annotated[datetime, mapped_column(DateTime(timezone=True), server_default=func.now())]
"""When the row was made, by the database's clock."""


class Base(DeclarativeBase):
    """Base of every table."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - read by SQLAlchemy as it stands
        str: Text(),
        float: Double(),
        dict[str, Any]: JSONB(),
        dict[str, str]: JSONB(),
        list[dict[str, Any]]: JSONB(),
    }
