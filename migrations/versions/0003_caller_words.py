"""What the recogniser tells of the caller's words: when each was said, how sure it is, in which language."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "turns",
        sa.Column("caller_words", postgresql.JSONB(), server_default=sa.text("'[]'"), nullable=False),
    )
    op.add_column("turns", sa.Column("caller_confidence", sa.Double(), nullable=True))
    op.add_column("turns", sa.Column("caller_language", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("turns", "caller_language")
    op.drop_column("turns", "caller_confidence")
    op.drop_column("turns", "caller_words")
