"""Runs on disk: identity, folder, owner, record; and the one scheduler that starts them as processes."""
