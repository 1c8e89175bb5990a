"""The plainest reading of the contract: who is asking, and may they? Nothing here is the gateway's own code.

It may be laxer than the gateway about what is malformed, never about what is granted: a call that it denies must
not be allowed.
"""

from __future__ import annotations

import json
import posixpath
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import jwt
import yaml
from itsdangerous import BadSignature, URLSafeTimedSerializer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jwt.types import Options

HANDSHAKE = {"initialize", "server/discover", "ping"}
HANDSHAKE |= {f"notifications/{name}" for name in ("initialized", "cancelled", "progress")}
KIND = {"tools/call": "tools", "prompts/get": "prompts"}
KIND |= {f"resources/{name}": "resources" for name in ("read", "subscribe", "unsubscribe")}


@dataclass(frozen=True)
class World:
    """What the oracle knows: the pool, its keys, the cookie's key, the policy's text."""

    issuers: tuple[str, ...]
    clients: frozenset[str]
    keys: dict[str, Any]
    secret_key: str
    scopes: str


@dataclass(frozen=True)
class Caller:
    """Somebody who proved who they are."""

    username: str
    client: str
    scopes: tuple[str, ...]
    groups: tuple[str, ...]


def allowed(world: World, pairs: Sequence[tuple[str, str]], body: bytes, now: float) -> Caller | None:
    """Return who is let through with these headers and this message; None where nobody may be."""
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value.strip(" \t"))
    caller = _caller(world, values, now)
    server = "".join(values.get("x-mcp-server", ()))
    if caller is None or server != leads_to("".join(values.get("x-original-uri", ())))[0]:
        return None
    policy = yaml.safe_load(world.scopes)
    asked = [named(message) for message in readings(body)] if body else [("", {})]
    return caller if all(may(policy, caller, server, *call) for call in asked) else None


def readings(body: bytes) -> list[Any]:
    """Return what readers make of a message: one that keeps the last of two equal keys, one that keeps the first.

    Raises ValueError for what is no JSON in UTF-8.
    """
    text = body.decode()
    return [json.loads(text), json.loads(text, object_pairs_hook=lambda pairs: dict(reversed(pairs)))]


def named(message: Any) -> tuple[str, dict[str, set[str]]]:
    """Return a message's method, and by kind everything that it is about."""
    method, params = message.get("method", ""), message.get("params") or {}
    if method in KIND:
        return method, {KIND[method]: {params["uri" if KIND[method] == "resources" else "name"]}}
    if method == "completion/complete":
        kind, member = {"ref/prompt": ("prompts", "name"), "ref/resource": ("resources", "uri")}[
            params["ref"]["type"]
        ]
        return method, {kind: {params["ref"][member]}}
    if method == "subscriptions/listen":
        return method, {"resources": set(params.get("notifications", {}).get("resourceSubscriptions", ()))}
    return method, {}


def leads_to(target: str) -> tuple[str, str]:
    """Return a path's first segment and its second, for a server that decodes and resolves all it can."""
    path = target.partition("?")[0]
    for _ in range(5):
        path = unquote(path).replace("\\", "/")
    first, _, rest = posixpath.normpath(path).strip("/").partition("/")
    return first, rest.partition("/")[0]


def may(policy: dict[str, Any], caller: Caller, server: str, method: str, names: dict[str, set[str]]) -> bool:
    """Judge one call by the file as it is written."""
    mapping = policy.get("group_mappings") or {}
    held = {*caller.scopes, *(scope for group in caller.groups for scope in mapping.get(group) or ())}
    grants = [
        grant
        for scope in held - {"group_mappings", "UI-Scopes", "agents"}
        for grant in policy.get(scope) or ()
        if _matches([grant["server"]], server)
    ]
    if not method or (method in HANDSHAKE and not any(names.values())):
        return bool(grants)
    if method in KIND and not names.get(KIND[method]):
        return False
    return any(
        _matches(grant.get("methods"), method)
        and all(_matches(grant.get(kind), value) for kind, found in names.items() for value in found)
        for grant in grants
    )


def _caller(world: World, values: dict[str, list[str]], now: float) -> Caller | None:
    if given := values.get("authorization"):
        kind, _, raw = given[0].partition(" ")
        return _of_token(world, raw.strip(" "), now) if len(given) == 1 and kind.lower() == "bearer" else None
    pairs = [pair.partition("=") for header in values.get("cookie", ()) for pair in header.split(";")]
    wanted = ("mcp_gateway_session", "__Host-mcp_gateway_session")
    found = {value.strip(' \t"') for name, _, value in pairs if name.strip(" \t") in wanted}
    return _of_cookie(world, found.pop()) if len(found) == 1 else None


def _of_token(world: World, raw: str, now: float) -> Caller | None:
    try:
        key = world.keys[jwt.get_unverified_header(raw)["kid"]]
        options: Options = {
            "verify_aud": False,
            "verify_exp": False,
            "verify_nbf": False,
            "verify_iat": False,
        }
        claims = jwt.decode(raw, key, algorithms=["RS256"], options=options)
        timely = (
            claims["exp"] > now - 31 and claims.get("iat", 0) < now + 31 and claims.get("nbf", 0) < now + 31
        )
    except (jwt.PyJWTError, KeyError, TypeError, ValueError):
        return None
    client = claims.get("client_id" if claims.get("token_use") == "access" else "aud")
    if (
        not timely
        or claims.get("iss") not in world.issuers
        or claims.get("token_use") not in {"access", "id"}
    ):
        return None
    if not isinstance(client, str) or client not in world.clients:
        return None
    username = claims.get("username") or claims.get("cognito:username") or ""
    scopes = tuple(str(claims.get("scope", "")).split())
    return Caller(username, client, scopes, tuple(claims.get("cognito:groups", ())))


def _of_cookie(world: World, raw: str) -> Caller | None:
    kwargs = {"key_derivation": "hmac", "digest_method": sha256}
    serializer = URLSafeTimedSerializer(world.secret_key, salt="mcp-gateway-session", signer_kwargs=kwargs)
    try:
        session = serializer.loads(raw, max_age=28_800)
    except BadSignature:
        return None
    return Caller(session["username"], "", (), tuple(session["groups"]))


def _matches(patterns: Any, value: str) -> bool:
    given = [patterns] if isinstance(patterns, str) else patterns or []
    return any(value.startswith(p[:-1]) if p.endswith("*") else value == p for p in given)
