"""Fixtures for all tests."""

import hypothesis

pytest_plugins = ["tests.db_fixtures"]

# The same code is tried on the same examples, at whatever speed; --hypothesis-profile=explore draws others.
hypothesis.settings.register_profile("explore", deadline=None)
hypothesis.settings.register_profile("steady", deadline=None, derandomize=True)
hypothesis.settings.load_profile("steady")
