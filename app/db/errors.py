"""What the database room raises: each message says what happened and what to do."""

from __future__ import annotations


class DatabaseError(Exception):
    """Base of what this room raises. Messages hold no password and no personal data."""


class DatabaseUrlError(DatabaseError):
    """``TRUNKLINE_DATABASE_URL`` is not a PostgreSQL URL that can be used."""


class DatabaseUnavailable(DatabaseError):
    """The server does not answer, refuses us, or could not be started."""


class SchemaError(DatabaseError):
    """The schema could not be brought to the version this code needs."""
