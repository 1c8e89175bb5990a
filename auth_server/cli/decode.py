"""`auth-server decode`: what a token says of itself. Believe none of it without --verify."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeGuard

from auth_server import strict_json
from auth_server.cli.arguments import add_json
from auth_server.cli.errors import CommandError
from auth_server.cli.identify import Refused, by_token
from auth_server.cli.inputs import SOURCES, read_secret
from auth_server.cli.output import complain, say, say_json
from auth_server.config.settings import Settings, environment
from auth_server.identity.jws import decode_base64url

if TYPE_CHECKING:
    import argparse

_PARTS = 3
_TIMES = ("exp", "iat", "nbf", "auth_time")
_LAST_YEAR_9999 = 253_402_300_799
_UNITS = ((86_400, "d"), (3600, "h"), (60, "min"))
_UNVERIFIED = (
    "NOT VERIFIED: neither the signature nor anything else was checked; anybody can write such a token. "
    "To check it: auth-server decode --verify"
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.description = "Show a token's header, claims and time left. Nothing is verified without --verify."
    parser.add_argument("token", nargs="?", default="-", metavar="TOKEN", help=f"the token; {SOURCES}")
    parser.add_argument("--verify", action="store_true", help="verify it too, as the gateway would")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Show one token; return 1 where it cannot be read, or does not verify although it should."""
    token = _bare(read_secret(arguments.token, "token"))
    header, claims = _parts(token)
    left = _time_left(claims.get("exp"), time.time())
    verified, code, verdict = _verify(token) if arguments.verify else (False, None, _UNVERIFIED)
    if arguments.json:
        if not arguments.verify:
            complain(verdict)
        facts = {"verified": verified, "verdict": verdict, "error_code": code, "time_left": left}
        say_json({**facts, "header": header, "claims": claims})
    else:
        say(verdict)
        _show("header", header)
        _show("claims", claims)
        say(left)
    return 1 if arguments.verify and not verified else 0


def _verify(token: str) -> tuple[bool, str | None, str]:
    outcome = by_token(Settings.from_environ(environment()), token)
    if isinstance(outcome, Refused):
        return False, outcome.code, f"NOT VERIFIED: {outcome.code}: {outcome.message}"
    who = outcome.username or outcome.client_id
    return True, None, f"VERIFIED: this gateway accepts it as {who}"


def _bare(text: str) -> str:
    """Take what people paste: the token, or the header that it came in."""
    words = text.removeprefix("Authorization:").split()
    return words[-1] if len(words) == 1 or (len(words) == 2 and words[0].lower() == "bearer") else text  # noqa: PLR2004


def _parts(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    parts = token.split(".")
    if len(parts) != _PARTS:
        raise CommandError(
            f"not a signed JWT: it has {len(parts)} part(s) between dots, not {_PARTS}; copy it whole"
        )
    return _object(parts[0], "header"), _object(parts[1], "payload")


def _object(part: str, name: str) -> dict[str, Any]:
    try:
        return strict_json.parse_object(decode_base64url(part))
    except ValueError:
        message = (
            f"not a JWT: its {name} is not a JSON object with unique names in base64url; copy the token whole"
        )
        raise CommandError(message) from None


def _show(title: str, values: dict[str, Any]) -> None:
    say(title)
    width = max(map(len, values), default=0)
    for name, value in values.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        moment = f"  ({_moment(value)})" if name in _TIMES and _is_time(value) else ""
        say(f"  {_one_line(name):<{width}}  {_one_line(text)}{moment}")


def _one_line(text: str) -> str:
    return text.replace("\n", "\\n")


def _time_left(exp: object, now: float) -> str:
    if not _is_time(exp):
        return "never expires by its own word: exp is missing or no time; the gateway refuses such a token"
    seconds = int(exp - now)
    return f"expires in {_span(seconds)}" if seconds > 0 else f"expired {_span(-seconds)} ago"


def _span(seconds: int) -> str:
    for size, unit in _UNITS:
        if seconds >= 2 * size or (seconds >= size and unit == "min"):
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _is_time(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _LAST_YEAR_9999


def _moment(value: float) -> str:
    return datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
