"""API keys as the admin API shows them."""

from __future__ import annotations

from datetime import datetime

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from app.auth.service import Role


class KeySummary(BaseModel):
    """A key without its secret. ``prefix`` is how it begins."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    prefix: str
    role: Role
    label: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


class KeyRequest(BaseModel):
    """The key to make. ``expires_at`` left out: never."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"role": "viewer", "label": "wallboard"}]}
    )

    role: Role
    label: str = Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")
    expires_at: AwareDatetime | None = None


class KeyChange(BaseModel):
    """What to change of a key. ``expires_at`` null: never."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"label": "wallboard, hall 2"}]}
    )

    label: str = Field(default="", min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")
    expires_at: AwareDatetime | None = None


class KeySecret(BaseModel):
    """A new key. ``key`` is shown here and never again."""

    id: int
    key: str
    prefix: str
