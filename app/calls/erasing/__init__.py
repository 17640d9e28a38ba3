"""Deleting calls, or what was said in them: for a caller, and by age."""
