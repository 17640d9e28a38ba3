"""Full-text search: the words of a call as one document, by the rules of its language.

PostgreSQL reduces words to their stems by rules that it calls a configuration ("Full Text Search" in its
manual). A language without one is searched for whole words (``simple``).
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

CONFIGS = {
    "ar": "arabic",
    "da": "danish",
    "de": "german",
    "el": "greek",
    "en": "english",
    "es": "spanish",
    "fi": "finnish",
    "fr": "french",
    "hi": "hindi",
    "hu": "hungarian",
    "id": "indonesian",
    "it": "italian",
    "nb": "norwegian",
    "nl": "dutch",
    "no": "norwegian",
    "pt": "portuguese",
    "ro": "romanian",
    "ru": "russian",
    "sv": "swedish",
    "tr": "turkish",
}
UNKNOWN = "simple"

_MOST_CHARACTERS = 500_000  # a document holds at most 1 MB

_CONFIG_OF = " ".join(f"WHEN '{root}' THEN '{config}'" for root, config in CONFIGS.items())

DOCUMENTS = f"""
    SELECT calls.id, calls.started_at, said.config,
           to_tsvector(said.config::regconfig, said.words)
    FROM {{calls}} AS calls
    JOIN LATERAL (
        SELECT CASE split_part(lower(coalesce(calls.language, '')), '-', 1) {_CONFIG_OF}
                    ELSE '{UNKNOWN}' END AS config,
               left(coalesce(string_agg(concat_ws(' . ', caller_text, heard_text), ' . ' ORDER BY index), ''),
                    {_MOST_CHARACTERS}) AS words
        FROM {{turns}} AS turns WHERE turns.call_id = calls.id
    ) AS said ON true
"""  # noqa: S608 - made of constants
"""Columns of ``call_texts`` for the rows of ``calls``; both names are to be filled in.

Only what was said and heard: a reply that the caller never heard is not found.
"""

_INDEX = text(
    "INSERT INTO call_texts (call_id, started_at, config, document) "  # noqa: S608
    + DOCUMENTS.format(
        calls="(SELECT * FROM calls WHERE id = :call AND started_at = :started)",
        turns="(SELECT * FROM turns WHERE call_id = :call)",
    )
    + "ON CONFLICT (call_id, started_at) DO UPDATE "
    "SET config = excluded.config, document = excluded.document"
)


def config_of(language: str) -> str:
    """The rules for a language (BCP 47)."""
    return CONFIGS.get(language.split("-", 1)[0].lower(), UNKNOWN)


async def index_words(session: AsyncSession, call_id: UUID, started_at: datetime) -> None:
    """Make a call's words known to the search, as they stand now. Doing it again changes nothing."""
    await session.execute(_INDEX, {"call": call_id, "started": started_at})
