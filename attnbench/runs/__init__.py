"""Runs on disk: identity, folder, owner, record, environment."""
