"""Hydra's grammar of overrides, read by one parser."""

from functools import cache, lru_cache

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override


@lru_cache(maxsize=4096)
def read(text: str) -> Override:
    """Parse an override, which takes a millisecond: the runs of a sweep share most of theirs. Do not change the result.

    Raises:
        HydraException: the text is not an override.
    """
    return _parser().parse_override(text)


@cache
def _parser() -> OverridesParser:
    return OverridesParser.create()
