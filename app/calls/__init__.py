"""Calls: what is remembered of them, and who answers them."""
