"""The plainest reading of the contract: who is asking, and may they? Nothing here is the gateway's own code.

It may be laxer than the gateway about what is malformed, never about what is granted: a call that it denies must
not be allowed.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

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
PLURAL = {"tool": "tools", "prompt": "prompts", "resource": "resources"}


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


def allowed(world: World, pairs: Sequence[tuple[bytes, bytes]], now: float) -> Caller | None:
    """Return who is let through with these headers; None where nobody may be."""
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name.decode(), []).append(value.decode("latin-1").strip(" \t"))
    caller = _caller(world, values, now)
    if caller is None or not may(yaml.safe_load(world.scopes), caller, *_asked(values)):
        return None
    return caller


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


def _asked(values: dict[str, list[str]]) -> tuple[str, str, dict[str, set[str]]]:
    """Return server, method, and every name that any header gives, by kind."""
    method = "".join(values.get("mcp-method", ()))
    names: dict[str, set[str]] = {}
    for name in values.get("mcp-name", ()):
        if name and method in KIND:
            names.setdefault(KIND[method], set()).add(_decoded(name))
    for text in values.get("x-mcp-targets", ()):
        for item in json.loads(text) if text else ():
            kinds = item if isinstance(item, dict) else {KIND.get(method, ""): item}
            for kind, value in kinds.items():
                names.setdefault(PLURAL.get(kind, kind), set()).add(value)
    return "".join(values.get("x-mcp-server", ())), method, names


def _decoded(name: str) -> str:
    if name.startswith("=?base64?") and name.endswith("?="):
        try:
            return base64.b64decode(name[9:-2]).decode()
        except (binascii.Error, ValueError):
            return "\0"  # nobody's name
    return name


def _matches(patterns: Any, value: str) -> bool:
    given = [patterns] if isinstance(patterns, str) else patterns or []
    return any(value.startswith(p[:-1]) if p.endswith("*") else value == p for p in given)
