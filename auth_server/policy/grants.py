"""May this identity make this call? Compiled grants, and the one evaluator of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from auth_server.model import KIND_OF_METHOD, METHODS_WITH_A_NAME, Kind
from auth_server.policy.decision import Allowed, Denied
from auth_server.policy.dot_segments import has_dot_segments
from auth_server.policy.patterns import Patterns
from auth_server.policy.uri_templates import could_match

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from auth_server.errors import Mistake
    from auth_server.model import Identity, Target
    from auth_server.policy.decision import Decision, Grant

# Needed for discovery itself: refusing them makes clients fall back to older protocols or give up.
HANDSHAKE_METHODS = frozenset(
    {
        "initialize",
        "server/discover",
        "ping",
        "notifications/initialized",
        "notifications/cancelled",
        "notifications/progress",
    },
)


@dataclass(frozen=True, slots=True)
class _ScopeGrants:
    """The grants of one scope, by the server's name or by the prefix of several servers' names."""

    by_server: Mapping[str, tuple[Grant, ...]]
    by_prefix: Mapping[str, tuple[Grant, ...]]
    lengths: tuple[int, ...]

    def on(self, server: str) -> Iterator[Grant]:
        yield from self.by_server.get(server, ())
        for length in self.lengths:
            if length <= len(server):
                yield from self.by_prefix.get(server[:length], ())


@dataclass(frozen=True, slots=True)
class Policy:
    """scopes.yml, compiled. Immutable: a reload makes a new one and swaps the reference.

    `warnings` are things that load but may mean less than their author thinks; `digest` names the text.
    """

    scopes: Mapping[str, _ScopeGrants]
    groups: Mapping[str, tuple[str, ...]]
    servers: Patterns
    source: str
    digest: str
    warnings: tuple[Mistake, ...] = field(repr=False)
    _scopes_of_server: Mapping[str, tuple[str, ...]] = field(repr=False)
    _scopes_with_pattern: tuple[str, ...]

    @classmethod
    def compile(
        cls,
        scopes: Mapping[str, Iterable[Grant]],
        groups: Mapping[str, tuple[str, ...]],
        *,
        source: str,
        digest: str,
        warnings: tuple[Mistake, ...],
    ) -> Policy:
        """Index grants by scope and server, so that a look-up does not grow with the file."""
        compiled = {scope: _index(grants) for scope, grants in scopes.items()}
        of_server: dict[str, list[str]] = {}
        for scope, grants in compiled.items():
            for server in grants.by_server:
                of_server.setdefault(server, []).append(scope)
        with_pattern = tuple(scope for scope, grants in compiled.items() if grants.by_prefix)
        patterns = {f"{prefix}*" for grants in compiled.values() for prefix in grants.by_prefix}
        return cls(
            compiled,
            dict(groups),
            Patterns.compile([*of_server, *patterns]),
            source,
            digest,
            warnings,
            {server: tuple(names) for server, names in of_server.items()},
            with_pattern,
        )

    def effective_scopes(self, identity: Identity) -> tuple[str, ...]:
        """Return the token's scopes, then what its groups map to; each once, in that order."""
        mapped = (scope for group in identity.groups for scope in self.groups.get(group, ()))
        return tuple(dict.fromkeys((*identity.scopes, *mapped)))

    def grants(self, scopes: Iterable[str], server: str) -> Iterator[Grant]:
        """Yield every grant that these scopes hold on this server."""
        for scope in scopes:
            if found := self.scopes.get(scope):
                yield from found.on(server)

    def scopes_on(self, server: str) -> tuple[str, ...]:
        """Return every scope with a grant on this server: first those that name it, then wider ones."""
        return tuple(dict.fromkeys((*self._scopes_of_server.get(server, ()), *self._scopes_with_pattern)))


def decide(policy: Policy, scopes: Iterable[str], target: Target) -> Decision:
    """Judge one call.

    Allowed if one grant of one scope matches the server, the method, and every name the call is about;
    a handshake, and what has no method, needs any grant on the server. Nothing is allowed by absence.
    """
    on_server = False
    for grant in policy.grants(scopes, target.server):
        on_server = True
        if _permits(grant, target):
            return Allowed(grant)
    if on_server:
        return Denied(f"no scope grants {describe(target)} on {target.server}")
    if target.server in policy.servers:
        return Denied(f"no scope grants anything on server {target.server}")
    return Denied(f"no scope in scopes.yml names server {target.server}", server_known=False)


def permitted(policy: Policy, scopes: Iterable[str], server: str, method: str) -> Callable[[str], bool]:
    """Return what tells of a name whether a call of this method may be about it, as `decide` does."""
    kind = KIND_OF_METHOD[method]
    held = [grant.names(kind) for grant in policy.grants(scopes, server) if method in grant.methods]
    return lambda name: any(_holds(patterns, kind, name) for patterns in held)


def permitted_templates(policy: Policy, scopes: Iterable[str], server: str) -> Callable[[str], bool]:
    """Return what tells of a URI template whether some resource that it stands for may be read."""
    grants = policy.grants(scopes, server)
    held = [grant.names(Kind.RESOURCES) for grant in grants if "resources/read" in grant.methods]
    return lambda template: any(could_match(template, patterns) for patterns in held)


def nearest(policy: Policy, scopes: Iterable[str], target: Target, *, most: int = 3) -> list[Grant]:
    """Return the grants that come closest to the call: that allow it, that hold its method, that are held."""
    held = frozenset(scopes)
    candidates = policy.grants(policy.scopes_on(target.server), target.server)

    def distance(grant: Grant) -> tuple[bool, bool, bool]:
        return (not _permits(grant, target), not _has_method(grant, target.method), grant.scope not in held)

    return sorted(candidates, key=distance)[:most]


def scopes_allowing(policy: Policy, target: Target) -> list[str]:
    """Return the scopes that would allow the call: those that name the server before wider ones."""
    candidates = policy.scopes_on(target.server)
    return [
        scope
        for scope in candidates
        if any(_permits(grant, target) for grant in policy.grants((scope,), target.server))
    ]


def allowed_tools(policy: Policy, scopes: Iterable[str], server: str) -> list[str]:
    """Return the tools (names, `prefix*` or `*`) that may be called on this server, sorted."""
    grants = policy.grants(scopes, server)
    return sorted(
        {
            tool
            for grant in grants
            if "tools/call" in grant.methods
            for tool in grant.names(Kind.TOOLS).sources()
        }
    )


def describe(target: Target) -> str:
    """Return method and names as a person would write them."""
    return " ".join([target.method or "a message without method", *(name.value for name in target.names)])


def _index(grants: Iterable[Grant]) -> _ScopeGrants:
    by_server: dict[str, list[Grant]] = {}
    by_prefix: dict[str, list[Grant]] = {}
    for grant in grants:
        for server in grant.server.exact:
            by_server.setdefault(server, []).append(grant)
        for prefix in grant.server.prefixes:
            by_prefix.setdefault(prefix, []).append(grant)
    return _ScopeGrants(
        {server: tuple(found) for server, found in by_server.items()},
        {prefix: tuple(found) for prefix, found in by_prefix.items()},
        tuple(sorted({len(prefix) for prefix in by_prefix})),
    )


def _permits(grant: Grant, target: Target) -> bool:
    if target.method is None or (target.method in HANDSHAKE_METHODS and not target.names):
        return True
    if target.method in METHODS_WITH_A_NAME and not target.names:
        return False
    return target.method in grant.methods and all(
        _holds(grant.names(name.kind), name.kind, name.value) for name in target.names
    )


def _has_method(grant: Grant, method: str | None) -> bool:
    return method is None or method in HANDSHAKE_METHODS or method in grant.methods


def _holds(patterns: Patterns, kind: Kind, name: str) -> bool:
    if kind is Kind.RESOURCES and not patterns.covers_all and has_dot_segments(name):
        # A server resolves `docs/../secret`; a prefix would not. Only the exact name stands for it.
        return name in patterns.exact
    return name in patterns
