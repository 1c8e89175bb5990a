"""The headers of one request, as they came: raw pairs, in which a second value is seen."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Container, Iterable, Mapping
from typing import Any

from auth_server.errors import InvalidRequest

RawHeaders = Iterable[tuple[bytes, bytes]]


class Headers:
    """ASGI's raw pairs: lower-case names, undecoded values."""

    __slots__ = ("_pairs", "_values")

    def __init__(self, raw: RawHeaders) -> None:
        self._pairs = list(raw)
        self._values = dict(self._pairs)

    def get(self, name: bytes) -> str | None:
        """Return the value, or None where the header is absent; raises InvalidRequest for a second one."""
        found = self._values.get(name)
        if found is None:
            return None
        if len(self._values) < len(self._pairs) and len(self.every(name)) > 1:
            raise sent_twice(name)
        return found.decode("latin-1").strip(" \t")

    def every(self, name: bytes) -> list[str]:
        """Return the values of a header that may be repeated."""
        if name not in self._values:
            return []
        return [value.decode("latin-1") for found, value in self._pairs if found == name]

    def digest(self, *, without: Container[bytes]) -> bytes:
        """Return what stands for all of these headers, in their order, but for those that are named.

        No credential is kept where a digest is kept.
        """
        parts = [part for pair in self._pairs if pair[0] not in without for part in pair]
        # A header holds no line end, so none of the parts can pass for two.
        return hashlib.sha256(b"\n".join(parts)).digest()

    def repeated(self) -> set[bytes]:
        """Return the names that came more than once."""
        if len(self._values) == len(self._pairs):
            return set()
        return {name for name, times in Counter(name for name, _ in self._pairs).items() if times > 1}


def listener(scope: Mapping[str, Any]) -> str:
    """Return where this process took the connection, by its ASGI scope, as nginx writes $server_addr."""
    host, port = scope.get("server") or ("", None)
    return f"unix:{host}" if port is None else str(host)


def sent_twice(name: bytes) -> InvalidRequest:
    """Return the refusal of a header that came more than once."""
    return InvalidRequest(f"the header {name.decode()} was sent more than once; send it once")
