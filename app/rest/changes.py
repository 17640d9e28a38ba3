"""The topic by which every process hears that agents, or what they are made of, were changed."""

from __future__ import annotations

CHANGES = "changes"
"""A message holds ``resource`` (its plural, as in the path) and ``id``; see ``app.db.notify``."""
