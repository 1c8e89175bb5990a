"""`auth-server explain`: the decision for one call, and the rule that made it."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING

from auth_server.cli.arguments import add_json
from auth_server.cli.errors import WrongUseError
from auth_server.cli.identify import Refused, by_cookie, by_token, for_server
from auth_server.cli.inputs import SOURCES, read_secret
from auth_server.cli.output import complain, say, say_json
from auth_server.config.settings import Settings, environment, some_settings
from auth_server.contract import SERVER_NAME_PATTERN
from auth_server.errors import InvalidRequest
from auth_server.model import KIND_OF_METHOD, METHODS_WITH_A_NAME, AuthMethod, Identity, Kind, Target
from auth_server.policy import grants, scopes_file
from auth_server.policy.decision import Allowed
from auth_server.validate.message import NAMING_MEMBER, NOTHING, describe, parse

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from auth_server.policy.decision import Decision, Grant
    from auth_server.policy.grants import Policy

_COMPLETION = "completion/complete"
_REFERENCES = {"prompt": "name", "resource": "uri"}
_OF_SIGN_IN = frozenset({"openid", "email", "phone", "profile", "aws.cognito.signin.user.admin"})
_SHOWN = 5


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.description = (
        "The decision for one call, by the code that decides in the gateway. Exit 0: allowed, 1: denied."
    )
    parser.add_argument("--server", required=True, metavar="NAME", help="the MCP server, as in /NAME/mcp")
    parser.add_argument(
        "--method", help="the MCP method, such as tools/call; none: an event stream or a response"
    )
    parser.add_argument(
        "--target",
        action="append",
        default=[],
        metavar="NAME",
        help="the tool, prompt or resource URI; may be repeated; for completion/complete "
        "prompt:NAME or resource:URI",
    )
    secret = parser.add_mutually_exclusive_group()
    secret.add_argument("--token", metavar="TOKEN", help=f"a Cognito JWT; {SOURCES}")
    secret.add_argument("--cookie", metavar="COOKIE", help=f"a session cookie; {SOURCES}")
    parser.add_argument("--scope", action="append", default=[], help="instead: a scope held; may be repeated")
    parser.add_argument("--group", action="append", default=[], help="instead: a group held; may be repeated")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Explain one decision; return 0 where the call is allowed, 1 where it is not."""
    _check_credentials(arguments)
    target = _target(arguments.server, arguments.method, arguments.target)
    environ = environment()
    has_secret = arguments.token is not None or arguments.cookie is not None
    settings = Settings.from_environ(environ) if has_secret else some_settings(environ, "SCOPES_FILE")
    rules = scopes_file.load(settings.scopes_file)
    identity = _identity(arguments, settings)
    if isinstance(identity, Identity):
        identity = for_server(settings, identity, target.server)
    if isinstance(identity, Refused):
        _answer(
            arguments,
            f"DENIED: {identity.code}: {identity.message}",
            {"allowed": False, "error_code": identity.code, "message": identity.message},
        )
        return 1
    _note_unmapped(identity, rules)
    held = rules.effective_scopes(identity)
    decision = grants.decide(rules, held, target)
    nearest = [] if isinstance(decision, Allowed) else grants.nearest(rules, held, target)
    _answer(
        arguments,
        _sentence(decision, target, nearest, rules, held),
        _facts(decision, target, nearest, rules, held) | {"identity": _who(identity)},
    )
    return 0 if isinstance(decision, Allowed) else 1


def _check_credentials(arguments: argparse.Namespace) -> None:
    given = [
        arguments.token is not None or arguments.cookie is not None,
        bool(arguments.scope or arguments.group),
    ]
    if given == [False, False]:
        raise WrongUseError("give --token, --cookie, or --scope and --group")
    if given == [True, True]:
        raise WrongUseError("--scope and --group stand instead of a token or cookie; give one or the other")


def _target(server: str, method: str | None, names: list[str]) -> Target:
    """Build the question that nginx would ask, and read it as the sidecar does."""
    if not re.fullmatch(SERVER_NAME_PATTERN, server):
        raise WrongUseError(f"{server} is not a server's name (lower-case letters, digits, “.”, “_”, “-”)")
    if method in METHODS_WITH_A_NAME and not names:
        raise WrongUseError(f"{method} is about something: say what with --target")
    if names and method not in KIND_OF_METHOD and method != _COMPLETION:
        raise WrongUseError(f"{method or 'a message without method'} is judged as it is; leave --target out")
    if len(names) > 1 and method != "subscriptions/listen":
        raise WrongUseError(f"{method} is about one thing; give --target once")
    params = _params(method, names)
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    try:
        asked = describe(parse(json.dumps(message).encode())) if method else NOTHING
    except InvalidRequest as refusal:
        raise WrongUseError(f"not a call that a gateway could be asked about: {refusal.message}") from None
    return Target(server, asked.method, asked.names)


def _params(method: str | None, names: list[str]) -> dict[str, object]:
    """Return params as a client would send them for these names."""
    if method == _COMPLETION:
        return {"ref": _reference(names[0])}
    if method == "subscriptions/listen":
        return {"notifications": {"resourceSubscriptions": names}}
    return {NAMING_MEMBER[method]: names[0]} if method in NAMING_MEMBER and names else {}


def _reference(text: str) -> dict[str, str]:
    kind, colon, name = text.partition(":")
    if not colon or kind not in _REFERENCES:
        raise WrongUseError(f"{_COMPLETION}: expected --target prompt:NAME or resource:URI, not {text}")
    return {"type": f"ref/{kind}", _REFERENCES[kind]: name}


def _identity(arguments: argparse.Namespace, settings: Settings) -> Identity | Refused:
    if arguments.token is not None:
        return by_token(settings, read_secret(arguments.token, "token"))
    if arguments.cookie is not None:
        return by_cookie(settings, read_secret(arguments.cookie, "cookie"))
    return Identity(
        method=AuthMethod.JWT,
        expires_at=math.inf,
        scopes=tuple(arguments.scope),
        groups=tuple(arguments.group),
    )


def _note_unmapped(identity: Identity, rules: Policy) -> None:
    """Say which scopes and groups mean nothing here: the commonest reason for a surprise."""
    for scope in identity.scopes:
        if scope not in rules.scopes and scope not in _OF_SIGN_IN:
            complain(f"note: the scope {scope} has no grants in {rules.source}")
    for group in identity.groups:
        if group not in rules.groups:
            complain(f"note: the group {group} is not in group_mappings of {rules.source}: it means nothing")


def _sentence(
    decision: Decision,
    target: Target,
    nearest: list[Grant],
    rules: Policy,
    held: tuple[str, ...],
) -> str:
    if isinstance(decision, Allowed):
        grant = decision.grant
        call = f"{target.server} {grants.describe(target)}"
        handshake = " (any grant on the server)" if _needs_any_grant(target) else ""
        return f"ALLOWED: scope {grant.scope} ({rules.source}:{grant.line}) grants {call}{handshake}"
    if not decision.server_known:
        return f"DENIED: {decision.reason}; it names {_some(rules.servers.sources()) or 'none'}"
    told = [
        f"scope {grant.scope} ({rules.source}:{grant.line}) grants {_gist(grant, target)}"
        f"{'' if grant.scope in held else ' (not held)'}"
        for grant in nearest
    ]
    return f"DENIED: {decision.reason}; nearest grants: {'; '.join(told)}"


def _needs_any_grant(target: Target) -> bool:
    return target.method is None or target.method in grants.HANDSHAKE_METHODS


def _gist(grant: Grant, target: Target) -> str:
    """Say of a grant what bears on this call: the names it lists for the method, or the methods it has."""
    server = _some(grant.server.sources())
    if target.method is None or target.method not in grant.methods:
        return f"{server} {_some(grant.methods.sources()) or 'no method'}"
    lists = [
        _some(grant.names(kind).sources()) or f"no {kind}"
        for kind in dict.fromkeys(n.kind for n in target.names)
    ]
    return " ".join([server, target.method, *lists])


def _some(names: list[str]) -> str:
    """Return the first few names of a list that may be long."""
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _facts(
    decision: Decision,
    target: Target,
    nearest: list[Grant],
    rules: Policy,
    held: tuple[str, ...],
) -> dict[str, object]:
    allowed = isinstance(decision, Allowed)
    return {
        "allowed": allowed,
        "message": _sentence(decision, target, nearest, rules, held),
        "rule": _rule(decision.grant, rules, held) if isinstance(decision, Allowed) else None,
        "nearest": [_rule(grant, rules, held) for grant in nearest],
        "server": target.server,
        "method": target.method,
        "targets": [{name.kind.value: name.value} for name in target.names],
        "scopes": list(held),
    }


def _rule(grant: Grant, rules: Policy, held: tuple[str, ...]) -> dict[str, object]:
    patterns = {"methods": grant.methods, **{kind.value: grant.names(kind) for kind in Kind}}
    return {
        "scope": grant.scope,
        "held": grant.scope in held,
        "file": rules.source,
        "line": grant.line,
        "server": grant.server.sources(),
        **{name: found.sources() for name, found in patterns.items()},
    }


def _who(identity: Identity) -> dict[str, object]:
    return {
        "username": identity.username,
        "client_id": identity.client_id,
        "scopes": list(identity.scopes),
        "groups": list(identity.groups),
        "method": identity.method.value,
    }


def _answer(arguments: argparse.Namespace, sentence: str, facts: Mapping[str, object]) -> None:
    if arguments.json:
        say_json(facts)
    else:
        say(sentence)
