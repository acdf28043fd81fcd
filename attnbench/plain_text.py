"""Text from elsewhere, made harmless for a terminal.

Names, states and recorded values come from files that others may have written. Whatever is printed goes through
`plain`, so that no text can move the cursor, change colours or turn the direction of writing.
"""

import re

BREAKS = "\t\n"
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, those that change the direction of text, and halves of characters."""


def plain(text: str, keep: str = BREAKS) -> str:
    r"""Return text with every control character written as an escape: `\x1b`, `\r`.

    Args:
        text: from anywhere.
        keep: control characters that stay; none for a message that must be one line.
    """
    return _CONTROL.sub(lambda found: found[0] if found[0] in keep else _escaped(found[0]), text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()
