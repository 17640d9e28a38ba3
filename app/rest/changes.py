"""The topic by which every process hears that agents, or what they are made of, were changed."""

from __future__ import annotations

CHANGES = "changes"
"""A message holds nothing: who hears it looks for itself; see ``app.db.notify``."""
