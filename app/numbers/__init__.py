"""Telephone numbers: which agent answers, and when."""
