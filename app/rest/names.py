"""Names that are ids: what the resources of the admin API are called by."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path
from pydantic import Field, StringConstraints

SLUG = r"^[a-z][a-z0-9_-]{0,62}$"

Slug = Annotated[str, Field(pattern=SLUG, examples=["welcome"])]
"""A name in a body."""

SlugPath = Annotated[str, Path(pattern=SLUG, description="The name of it")]
"""The same in a path."""

Version = Annotated[int, Path(ge=1, lt=2**31, description="The number of the version")]

Title = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00-\x1f]*$")]
"""What people call it; may be empty."""

Note = Annotated[str, StringConstraints(max_length=1000, pattern=r"^[^\x00-\x08\x0b-\x1f]*$")]
"""Why it was changed; may be empty."""
