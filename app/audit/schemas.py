"""The audit log as the admin API shows it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict


class AuditDetail(BaseModel):
    """One change: who, what, and the resource before and after; null: there was, or is, none.

    ``actor`` is the key's beginning and label; ``trunkline``: the command line, or the product by itself.
    """

    model_config = ConfigDict(from_attributes=True)

    id: int
    at: datetime
    key_id: int | None
    actor: str
    action: str
    resource: str
    resource_id: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
