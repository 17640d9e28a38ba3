"""Fixtures for all tests."""

pytest_plugins = ["tests.db_fixtures"]
