"""`auth-server revoke`: end a session, or all that a user or a client holds."""

from __future__ import annotations

import argparse
import asyncio
import time
from datetime import UTC, datetime

from auth_server.cli.arguments import add_json
from auth_server.cli.errors import CommandError
from auth_server.cli.output import hush_logs, say, say_json
from auth_server.config.settings import environment, some_settings
from auth_server.identity.revocations import IN_FORCE, Revocation, RevocationKind, Revocations
from auth_server.stores import Store, StoreError, open_store


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.description = (
        "End a session, or every session and token that a user or an app client holds. Names "
        "count to the letter, as the log and `decode` show them. It has to be the gateway's own store: "
        "REVOCATION_URL, or the same user's state folder. Exit 0: every worker will know; 1: nothing ended."
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--session", metavar="SID", type=_name, help="one session by its id, or one token by its jti"
    )
    what.add_argument("--user", metavar="NAME", type=_name, help="all sessions and tokens of this user")
    what.add_argument("--client", metavar="ID", type=_name, help="all tokens of this app client")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """End it, and say from when on nobody is let in by it."""
    hush_logs()
    settings = some_settings(environment(), "REVOCATION_URL", "SESSION_MAX_AGE")
    kind = next(kind for kind in RevocationKind if getattr(arguments, kind.value) is not None)
    value = getattr(arguments, kind.value)
    # Without `create`: a new file would be one that no gateway reads.
    store = open_store(settings.revocation_url, create=False)
    revocation = asyncio.run(_revoke(store, kind, value, settings.session_max_age))
    until = datetime.fromtimestamp(revocation.revoked_at, UTC)
    if arguments.json:
        answer = {"kind": kind.value, "value": value, "issued_until": f"{until:%Y-%m-%dT%H:%M:%SZ}"}
        say_json(answer | {"within_seconds": IN_FORCE, "store": f"{store.kind} {store.place}"})
        return 0
    held = {
        RevocationKind.SESSION: f"session {value} has ended",
        RevocationKind.USER: f"every session and token of user {value} has ended",
        RevocationKind.CLIENT: f"every token of client {value} has ended",
    }
    say(f"{held[kind]}: refused everywhere within {IN_FORCE:.0f} s")
    if kind is not RevocationKind.SESSION:
        say(f"what is issued after {until:%Y-%m-%d %H:%M:%S} UTC counts again")
    say(f"kept in {store.kind} {store.place}")
    return 0


async def _revoke(store: Store, kind: RevocationKind, value: str, session_max_age: int) -> Revocation:
    revocations = Revocations(store, session_max_age=session_max_age)
    try:
        return await revocations.revoke(kind, value, now=time.time())
    except StoreError as error:
        raise CommandError(
            f"nothing was ended: {store.kind} {store.place} cannot take it ({error}); "
            "is REVOCATION_URL that of the gateway, and may this user write there?"
        ) from None
    finally:
        await revocations.aclose()


def _name(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise argparse.ArgumentTypeError("expected a name")
    return text
