"""Whether some reader finds a way up in a resource's URI: what a prefix covers must not lead out of it.

Servers decode a URI once, twice or not at all, by strict rules or lax ones. What any of them could take for a
dot segment counts as one, and so does what they could not agree upon.
"""

from __future__ import annotations

import re
from unicodedata import normalize
from urllib.parse import unquote_plus

# Beyond what a chain of servers decodes.
_MAX_DECODINGS = 8

_PERCENT_U = re.compile(r"%u([0-9a-f]{4})", re.IGNORECASE)
# What ends a segment for somebody: a NUL in C, `;` where parameters follow, the other slashes on Windows.
_SEPARATOR = re.compile("[\x00-\x1f\x7f/\\\\\u2044\u2215\u2216:=?#;&]")


def has_dot_segments(uri: str) -> bool:
    """Tell whether the URI, as written or decoded at any depth, holds the segment `.` or `..`."""
    for _ in range(_MAX_DECODINGS):
        if any(segment.strip() in {".", ".."} for segment in _SEPARATOR.split(uri)):
            return True
        try:
            decoded = _decoded(uri)
        except UnicodeDecodeError:  # overlong forms of a dot among it
            return True
        if decoded == uri:
            return False
        uri = decoded
    return True


def _decoded(uri: str) -> str:
    """Undo one layer of percent-encoding, also IIS's and that of forms; raises UnicodeDecodeError."""
    text = _PERCENT_U.sub(lambda found: chr(int(found[1], 16)), uri)
    return normalize("NFKC", unquote_plus(text, errors="strict"))
