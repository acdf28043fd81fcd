"""Runs on disk: identity, folder, lock, record, metrics, evaluations and environment."""
