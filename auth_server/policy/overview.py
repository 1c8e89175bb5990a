"""What a person may call and what not: the policy, laid out for reading. `policy.decide` alone decides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from auth_server.model import KIND_OF_METHOD, Kind, Name, Target
from auth_server.policy.decision import Allowed
from auth_server.policy.grants import HANDSHAKE_METHODS, decide, scopes_allowing

if TYPE_CHECKING:
    from collections.abc import Iterable

    from auth_server.policy.decision import Grant
    from auth_server.policy.grants import Policy

# The method that the names of each list are shown by: the first that there is.
_NAMING = {kind: next(method for method, of in KIND_OF_METHOD.items() if of is kind) for kind in Kind}
EVERY_OTHER = "*"
_NAMING_METHODS = frozenset(_NAMING.values())


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that a server offers. `scopes` are those that allow it, or would."""

    name: str
    allowed: bool
    scopes: tuple[str, ...]

    @property
    def is_pattern(self) -> bool:
        """Whether it stands for every name that starts so."""
        return self.name.endswith("*")


@dataclass(frozen=True, slots=True)
class Section:
    """The entries of one kind, and the method that calls them; none for the methods themselves."""

    title: str
    noun: str
    method: str
    entries: tuple[Entry, ...]

    @property
    def summary(self) -> str:
        """How much of it is allowed, in words."""
        what = self.title.lower()
        if any(entry.allowed and entry.name == EVERY_OTHER for entry in self.entries):
            return f"all {what}"
        named = [entry for entry in self.entries if entry.name != EVERY_OTHER]
        return f"{sum(entry.allowed for entry in named)} of {len(named)} {what}"


@dataclass(frozen=True, slots=True)
class Server:
    """One server that scopes.yml names."""

    name: str
    reachable: bool
    sections: tuple[Section, ...]

    @property
    def summary(self) -> str:
        """How much of it is allowed, in words: tools first, where there are any."""
        return self.sections[0].summary if self.reachable and self.sections else "no access"


@dataclass(frozen=True, slots=True)
class Overview:
    """Every server that is named, those that may be used first, and what is granted beyond names."""

    servers: tuple[Server, ...]
    others: tuple[str, ...]  # patterns of further servers on which something is granted

    @property
    def usable(self) -> tuple[Server, ...]:
        """The servers on which anything at all is granted."""
        return tuple(server for server in self.servers if server.reachable)


def overview(policy: Policy, scopes: Iterable[str]) -> Overview:
    """Lay out what these scopes may do on every server that the policy names."""
    held = tuple(scopes)
    servers = [_server(policy, held, name) for name in sorted(policy.servers.exact)]
    own = (policy.scopes.get(scope) for scope in held)
    prefixes = {f"{prefix}*" for grants in own if grants for prefix in grants.by_prefix}
    return Overview(tuple(sorted(servers, key=lambda server: not server.reachable)), tuple(sorted(prefixes)))


def _server(policy: Policy, scopes: tuple[str, ...], name: str) -> Server:
    every = list(policy.grants(policy.scopes_on(name), name))
    held = list(policy.grants(scopes, name))
    sections = [
        Section(
            kind.value.title(),
            kind.value[:-1],
            method,
            _sorted(_named(policy, scopes, name, kind, method, every, held)),
        )
        for kind, method in _NAMING.items()
    ]
    sections.append(Section("Other methods", "method", "", _sorted(_methods(every, held))))
    return Server(name, bool(held), tuple(section for section in sections if section.entries))


def _named(  # noqa: PLR0913, PLR0917 - what an entry is judged by
    policy: Policy,
    scopes: tuple[str, ...],
    server: str,
    kind: Kind,
    method: str,
    every: list[Grant],
    held: list[Grant],
) -> Iterable[Entry]:
    with_method = [grant for grant in every if method in grant.methods]
    names = {name for grant in with_method for name in grant.names(kind).exact}
    for name in names:
        yield _judged(policy, scopes, name, Target(server, method, (Name(kind, name),)))
    prefixes = {prefix for grant in with_method for prefix in grant.names(kind).prefixes}
    for prefix in prefixes:
        able = {g.scope for g in with_method if _covers(g.names(kind).prefixes, prefix)}
        own = {g.scope for g in held if method in g.methods and _covers(g.names(kind).prefixes, prefix)}
        yield Entry(f"{prefix}*", bool(own), tuple(sorted(own or able)))


def _methods(every: list[Grant], held: list[Grant]) -> Iterable[Entry]:
    exact = {method for grant in every for method in grant.methods.exact}
    for method in exact - HANDSHAKE_METHODS - _NAMING_METHODS:
        # A method that names something is granted together with names: what stands here is its half.
        able = tuple(dict.fromkeys(grant.scope for grant in every if method in grant.methods))
        own = tuple(dict.fromkeys(grant.scope for grant in held if method in grant.methods))
        yield Entry(method, bool(own), own or able)
    for prefix in {prefix for grant in every for prefix in grant.methods.prefixes}:
        able_by = {grant.scope for grant in every if _covers(grant.methods.prefixes, prefix)}
        own_by = {grant.scope for grant in held if _covers(grant.methods.prefixes, prefix)}
        yield Entry(f"{prefix}*", bool(own_by), tuple(sorted(own_by or able_by)))


def _sorted(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """Return what is allowed first, and patterns after names."""
    return tuple(sorted(entries, key=lambda entry: (entry.is_pattern, not entry.allowed, entry.name)))


def _judged(policy: Policy, scopes: tuple[str, ...], name: str, target: Target) -> Entry:
    decision = decide(policy, scopes, target)
    if isinstance(decision, Allowed):
        return Entry(name, allowed=True, scopes=(decision.grant.scope,))
    return Entry(name, allowed=False, scopes=tuple(scopes_allowing(policy, target)))


def _covers(prefixes: Iterable[str], prefix: str) -> bool:
    return any(prefix.startswith(wider) for wider in prefixes)
