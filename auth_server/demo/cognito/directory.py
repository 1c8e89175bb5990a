"""What exists: user pools with their resource servers, app clients and users, all immutable."""

import uuid
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import chain
from typing import Any

STANDARD_SCOPES = frozenset({"openid", "email", "phone", "profile", "aws.cognito.signin.user.admin"})
"""The scopes that every user pool has (Cognito developer guide, "Scopes, M2M, and resource servers")."""


class Flow(StrEnum):
    """How an app client may get tokens; the values are those of AWS's CreateUserPoolClient."""

    CODE = "code"
    CLIENT_CREDENTIALS = "client_credentials"
    USER_PASSWORD = "ALLOW_USER_PASSWORD_AUTH"  # noqa: S105 - the name of a flow
    REFRESH_TOKEN = "ALLOW_REFRESH_TOKEN_AUTH"  # noqa: S105 - the name of a flow


@dataclass(frozen=True, slots=True)
class ResourceServer:
    """An API with scopes of its own, written `identifier/scope` in tokens."""

    identifier: str
    scopes: tuple[str, ...]

    @property
    def full_scopes(self) -> tuple[str, ...]:
        """The scopes as tokens carry them."""
        return tuple(f"{self.identifier}/{scope}" for scope in self.scopes)


@dataclass(frozen=True, slots=True)
class AppClient:
    """An OAuth client of one pool (RFC 6749, section 2); without a secret it is a public client."""

    id: str
    flows: frozenset[Flow]
    scopes: tuple[str, ...]
    secret: str | None = field(default=None, repr=False)
    callback_urls: tuple[str, ...] = ()
    logout_urls: tuple[str, ...] = ()
    rotate_refresh_tokens: bool = False
    access_token_validity: int = 3600
    id_token_validity: int = 3600
    refresh_token_validity: int = 30 * 24 * 3600

    def __post_init__(self) -> None:
        """Refuse what AWS refuses: client credentials need a secret."""
        if Flow.CLIENT_CREDENTIALS in self.flows and self.secret is None:
            raise ValueError(f"app client {self.id}: client_credentials needs a client secret")


@dataclass(frozen=True, slots=True)
class User:
    """A person of one pool. Group and user names may hold commas, spaces and any letter, as in AWS."""

    username: str
    password: str = field(repr=False)
    email: str
    groups: tuple[str, ...] = ()
    email_verified: bool = True

    @property
    def sub(self) -> str:
        """The user's immutable id, the same after a restart."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"urn:cognito-stand-in:{self.username}"))


@dataclass(frozen=True, slots=True)
class Pool:
    """A user pool. `issuer` overrides the `iss` of its tokens, where the address is another than that."""

    id: str
    resource_servers: tuple[ResourceServer, ...] = ()
    clients: tuple[AppClient, ...] = ()
    users: tuple[User, ...] = ()
    issuer: str | None = None

    def __post_init__(self) -> None:
        """Refuse names that occur twice and clients with scopes that the pool does not have."""
        _refuse_duplicates(f"pool {self.id}: user", [user.username for user in self.users])
        for client in self.clients:
            if unknown := set(client.scopes) - self.scopes:
                names = ", ".join(sorted(unknown))
                raise ValueError(f"app client {client.id}: no such scope in pool {self.id}: {names}")

    @property
    def scopes(self) -> frozenset[str]:
        """Every scope that exists in this pool."""
        return STANDARD_SCOPES.union(*(server.full_scopes for server in self.resource_servers))

    def client(self, client_id: str) -> AppClient | None:
        """Return the app client with that id."""
        return next((client for client in self.clients if client.id == client_id), None)

    def user(self, username: str) -> User | None:
        """Return the user with that name."""
        return next((user for user in self.users if user.username == username), None)


@dataclass(frozen=True, slots=True)
class Directory:
    """Everything that one stand-in serves."""

    pools: tuple[Pool, ...]

    def __post_init__(self) -> None:
        """Refuse ids that occur twice: InitiateAuth finds the pool by the client's id alone."""
        _refuse_duplicates("pool", [pool.id for pool in self.pools])
        clients = chain.from_iterable(pool.clients for pool in self.pools)
        _refuse_duplicates("app client", [client.id for client in clients])

    def pool(self, pool_id: str) -> Pool | None:
        """Return the pool with that id."""
        return next((pool for pool in self.pools if pool.id == pool_id), None)

    def changed(self, pool_id: str, username: str, **changes: Any) -> "Directory":
        """Return a directory where this user is another; with `absent=True`, there is none."""
        absent = changes.pop("absent", False)
        pools = []
        for pool in self.pools:
            own = pool.id == pool_id
            users = [u for u in pool.users if not (own and absent and u.username == username)]
            users = [replace(u, **changes) if own and u.username == username else u for u in users]
            pools.append(replace(pool, users=tuple(users)))
        return Directory(tuple(pools))

    def pool_of(self, client_id: str) -> tuple[Pool, AppClient] | None:
        """Return the pool that has this app client, and the client."""
        for pool in self.pools:
            if client := pool.client(client_id):
                return pool, client
        return None


def _refuse_duplicates(what: str, names: list[str]) -> None:
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"{what} defined twice: {', '.join(sorted(twice))}")
