"""Every table there is: migrations are compared with this."""

from __future__ import annotations

from app.agents import models as agents
from app.auth import models as auth
from app.calls import models as calls
from app.db.base import Base

__all__ = ["METADATA", "agents", "auth", "calls"]

METADATA = Base.metadata
