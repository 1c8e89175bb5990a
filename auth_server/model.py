"""The nouns: what is asked, and by whom."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class BearerToken:
    """A JWT as it arrived in `Authorization: Bearer`."""

    raw: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SessionCookie:
    """The value of the session cookie as it arrived."""

    raw: str = field(repr=False)


Credential = BearerToken | SessionCookie


class Kind(StrEnum):
    """The lists of a grant in which a target can be named."""

    TOOLS = "tools"
    PROMPTS = "prompts"
    RESOURCES = "resources"


# The methods whose params name what they are about, and the list that a grant must hold it in.
# completion/complete names a prompt or a resource: its kind comes with the name.
KIND_OF_METHOD = {
    "tools/call": Kind.TOOLS,
    "prompts/get": Kind.PROMPTS,
    "resources/read": Kind.RESOURCES,
    "resources/subscribe": Kind.RESOURCES,
    "resources/unsubscribe": Kind.RESOURCES,
    "subscriptions/listen": Kind.RESOURCES,
}
METHODS_WITH_A_NAME = frozenset(KIND_OF_METHOD) - {"subscriptions/listen"} | {"completion/complete"}


class List(NamedTuple):
    """Where a list is: the member of a result, what names each entry, and the call that it is for."""

    member: str
    naming: str
    method: str


TEMPLATES = "resources/templates/list"
LISTS = {
    "tools/list": List("tools", "name", "tools/call"),
    "prompts/list": List("prompts", "name", "prompts/get"),
    "resources/list": List("resources", "uri", "resources/read"),
    TEMPLATES: List("resourceTemplates", "uriTemplate", "resources/read"),
}


class Name(NamedTuple):
    """One thing that a call is about: a tool, a prompt or a resource URI."""

    kind: Kind
    value: str


class Target(NamedTuple):
    """What is to be done: an MCP method on a server, and every name that the call is about.

    `method` is None for what has none: an event stream (GET), the end of a session (DELETE), a JSON-RPC
    response.
    """

    server: str
    method: str | None
    names: tuple[Name, ...] = ()


@dataclass(frozen=True, slots=True)
class Pool:
    """One trusted Cognito user pool: the issuers that its tokens may name, and where its keys are."""

    id: str
    region: str
    issuers: tuple[str, ...]
    jwks_url: str


class AuthMethod(StrEnum):
    """How the caller proved who they are."""

    JWT = "jwt"
    SESSION_COOKIE = "session_cookie"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who is asking, as verified.

    `username` is empty for an agent with its own identity, `client_id` for a session. `scopes` are the
    token's own; `groups` are Cognito's. `expires_at` is in seconds since the epoch. `session_id` is the
    session's sid or the token's jti, and names this credential alone. `resources` are the URLs that the
    token is bound to (RFC 8707), none for one that is bound to its client alone.
    """

    method: AuthMethod
    expires_at: float
    username: str = ""
    email: str = ""
    client_id: str = ""
    scopes: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    session_id: str = ""
    issued_at: float = 0
    resources: tuple[str, ...] = ()
