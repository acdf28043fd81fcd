"""The hash that identifies a file of weights. Nothing here imports torch."""

import hashlib
from pathlib import Path


def digest_of(source: str) -> str:
    """Return the SHA-256 of a file, with its name before it. Raises `OSError` if the file cannot be read."""
    with Path(source).expanduser().open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
