"""Recordings of calls: both voices on the call's line, written while it runs, kept in a store."""
