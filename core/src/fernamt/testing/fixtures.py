"""The pytest plugin: fixtures that every test of a plugin may use."""
