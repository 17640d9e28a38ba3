"""The work after a call: its steps and their results."""
