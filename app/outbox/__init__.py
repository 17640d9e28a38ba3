"""Messages that leave after the transaction that decided on them, and not without it."""
