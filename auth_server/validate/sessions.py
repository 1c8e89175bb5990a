"""Mcp-Session-Id, sealed: a backend's session is of use to the one who began it, on that server alone.

A backend cannot tell whose session it is, for it sees no credential (MCP, “Session Hijacking”). So the
gateway does: what a client gets is the backend's id, encrypted and authenticated together with who began the
session, and where. Nothing is stored. The same id is always sealed alike: some clients take that of each
answer for a new one.
"""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from auth_server.errors import ErrorCode, NotHere
from auth_server.sealed import derived

if TYPE_CHECKING:
    from collections.abc import Sequence

    from auth_server.model import Identity

PURPOSE = "mcp-session-id"
MAX_ID = 1024  # characters of a backend's own
MAX_SEALED = 2 * MAX_ID

_ID = re.compile(rf"[!-~]{{1,{MAX_ID}}}")  # visible ASCII (MCP 2025-11-25, “Session Management”)


class Sessions:
    """Seals and opens the ids of sessions; the first key seals, all open (RFC 5297)."""

    def __init__(self, keys: Sequence[str]) -> None:
        """Take the keys; raises ValueError where there is none."""
        if not keys or not all(keys):
            raise ValueError("sealing needs a key")
        self._boxes = [AESSIV(derived(PURPOSE, key)) for key in keys]

    def seal(self, principal: str, server: str, session: str) -> str:
        """Return what the client gets; raises ValueError for an id that MCP does not allow."""
        if not _ID.fullmatch(session):
            raise ValueError(f"a session's id is at most {MAX_ID} characters of visible ASCII")
        sealed = self._boxes[0].encrypt(session.encode(), _whose(principal, server))
        return base64.urlsafe_b64encode(sealed).decode().rstrip("=")

    def open(self, principal: str, server: str, sealed: str) -> str:
        """Return the backend's own id; raises NotHere for another's, another server's, or a forged one."""
        if len(sealed) > MAX_SEALED:
            raise _unknown()
        try:
            raw = base64.b64decode(sealed + "=" * (-len(sealed) % 4), altchars=b"-_", validate=True)
        except ValueError:  # binascii.Error, and what is not ASCII, are of its kind
            raise _unknown() from None
        for box in self._boxes:
            try:
                return box.decrypt(raw, _whose(principal, server)).decode()
            except (InvalidTag, ValueError):
                continue
        raise _unknown()


def principal(identity: Identity, pool: str) -> str:
    """Return who it is, whichever token or cookie says so: a user of a pool, or an app client of its own.

    `pool` is empty where the credential does not say which of several it is from.
    """
    who = ("user", identity.username) if identity.username else ("client", identity.client_id)
    return json.dumps([pool, *who])


def _whose(principal: str, server: str) -> list[bytes]:
    return [principal.encode(), server.encode()]


def _unknown() -> NotHere:
    return NotHere(
        "no session of yours has this Mcp-Session-Id; begin a new one", code=ErrorCode.MCP_SESSION_UNKNOWN
    )
