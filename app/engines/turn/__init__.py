"""Models that hear whether a turn is over, one file an engine."""
