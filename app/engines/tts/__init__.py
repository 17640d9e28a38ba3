"""Speech synthesisers, one file an engine."""
