"""The text of scopes.yml becomes a Policy, or every mistake in it with its line.

The format is the MCP Gateway Registry's (github.com/agentic-community/mcp-gateway-registry, docs/scopes.md).
"""

from __future__ import annotations

import hashlib
import re
import stat
from typing import TYPE_CHECKING

from auth_server.errors import ConfigurationError, Mistake
from auth_server.model import KIND_OF_METHOD, Kind
from auth_server.policy.decision import Grant
from auth_server.policy.grants import HANDSHAKE_METHODS, Policy
from auth_server.policy.patterns import NOTHING, Patterns
from auth_server.policy.yaml_nodes import Reader, describe, shown

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import yaml

MAX_BYTES = 16 * 1024 * 1024

UI_SCOPES = "UI-Scopes"
GROUP_MAPPINGS = "group_mappings"
_LISTS = ("methods", *Kind)
_ENTRY_KEYS = ("server", *_LISTS)
_METHODS_OF_MCP = (
    HANDSHAKE_METHODS
    | set(KIND_OF_METHOD)
    | {
        "completion/complete",
        "logging/setLevel",
        "notifications/roots/list_changed",
        "prompts/list",
        "resources/list",
        "resources/templates/list",
        "tasks/cancel",
        "tasks/get",
        "tasks/list",
        "tasks/result",
        "tasks/update",
        "tools/list",
    }
)
_CALLS = {
    kind: [method for method, of in KIND_OF_METHOD.items() if of is kind and method != "subscriptions/listen"]
    for kind in Kind
}
_SERVER = re.compile(r"[A-Za-z0-9._-]*")


def load(path: Path) -> Policy:
    """Read and compile the file; raises ConfigurationError with the place and the remedy of each mistake."""
    return parse(read(path), source=path.name)


def read(path: Path) -> str:
    """Return the file's text; raises ConfigurationError where it is absent, too long or not UTF-8."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise _unreadable(path, "is not a regular file; SCOPES_FILE names a YAML file")
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise _unreadable(path, "does not exist; set SCOPES_FILE to your scopes.yml") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a usable path"
        raise _unreadable(
            path, f"cannot be read ({reason}); check SCOPES_FILE and the file's permissions"
        ) from None
    if len(raw) > MAX_BYTES:
        raise _unreadable(path, f"is larger than {MAX_BYTES // 1024**2} MiB; use prefixes such as team-*")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        message = f"the byte 0x{raw[error.start]:02X} is not UTF-8; save the file as UTF-8"
        raise ConfigurationError([Mistake(f"{path.name}:{line}", message)]) from None


def parse(text: str, *, source: str = "scopes.yml") -> Policy:
    """Compile the text of a scopes.yml; raises ConfigurationError with everything that is wrong in it."""
    parser = _Parser(source)
    return parser.policy(text)


class _Parser:
    """One reading of one file."""

    def __init__(self, source: str) -> None:
        self._reader = Reader(source)
        # By node: an anchor that many grants refer to is compiled, and complained of, once.
        self._compiled: dict[int, Patterns] = {}

    def policy(self, text: str) -> Policy:
        reader = self._reader
        root = reader.compose(text)
        if root is None or describe(root) == "nothing":
            message = "the file is empty; it needs at least one scope with its grants"
            raise ConfigurationError([Mistake(f"{reader.source}:1", message)])
        ui_scopes: list[str] = []
        groups: yaml.Node | None = None
        scopes: dict[str, list[Grant]] = {}
        lines: dict[str, yaml.Node] = {}
        for name, key, value in reader.entries(root, "the file"):
            if name == UI_SCOPES:
                ui_scopes = self._ui_scopes(value)
            elif name == GROUP_MAPPINGS:
                groups = value
            else:
                scopes[name], lines[name] = self._scope(name, value), key
        mapped = self._groups(groups, [*scopes, *ui_scopes]) if groups is not None else {}
        reached = {scope for granted in mapped.values() for scope in granted}
        for name, key in lines.items():
            if "/" not in name and name not in reached:
                reader.warn(
                    key,
                    f"nobody has the scope {shown(name)}: no group maps to it, and a token's scopes hold a /",
                )
        reader.raise_mistakes()
        return Policy.compile(
            scopes,
            mapped,
            source=reader.source,
            digest=digest(text),
            warnings=reader.warnings(),
        )

    def _ui_scopes(self, node: yaml.Node) -> list[str]:
        """Check the Registry's own permissions; only their names matter here."""
        names = []
        for name, _, actions in self._reader.entries(node, UI_SCOPES):
            names.append(name)
            for action, _, services in self._reader.entries(actions, f"the UI scope {shown(name)}"):
                for service in self._reader.items(services, action):
                    self._reader.text(service, f"an element of {shown(action)}")
        return names

    def _groups(self, node: yaml.Node, known: list[str]) -> dict[str, tuple[str, ...]]:
        exists = frozenset(known)
        groups = {}
        for group, _, value in self._reader.entries(node, GROUP_MAPPINGS):
            scopes = []
            for item in self._reader.items(value, f"the group {shown(group)}"):
                scope = self._reader.text(item, f"a scope of the group {shown(group)}")
                if scope is None:
                    continue
                scopes.append(scope)
                if scope not in exists:
                    hint = self._reader.hint(scope, known) or f"; define it in this file or under {UI_SCOPES}"
                    self._reader.mistake(
                        item, f"the group {shown(group)} maps to {shown(scope)}, which is no scope{hint}"
                    )
            groups[group] = tuple(scopes)
        return groups

    def _scope(self, name: str, node: yaml.Node) -> list[Grant]:
        if node.tag.endswith(":map"):
            hint = self._reader.hint(name, (UI_SCOPES, GROUP_MAPPINGS)) or "; start each grant with - server:"
            self._reader.mistake(
                node, f"the scope {shown(name)} must be a list of grants, not a mapping{hint}"
            )
            return []
        if not node.tag.endswith(":seq"):
            self._reader.mistake(
                node,
                f"the scope {shown(name)} must be a list of grants, not {describe(node)}; [] grants nothing",
            )
            return []
        grants = (self._grant(name, entry) for entry in node.value)
        return [grant for grant in grants if grant is not None]

    def _grant(self, scope: str, node: yaml.Node) -> Grant | None:
        reader = self._reader
        place = f"a grant of {shown(scope)}"
        entries = {name: (key, value) for name, key, value in reader.entries(node, place)}
        if not node.tag.endswith(":map"):
            return None
        if "agents" in entries:
            self._agents(entries, place)
            return None
        for name, (key, _) in entries.items():
            if name not in _ENTRY_KEYS:
                hint = self._reader.hint(name, _ENTRY_KEYS) or f"; expected {', '.join(_ENTRY_KEYS)}"
                reader.mistake(key, f"{shown(name)} is not a key of a grant{hint}")
        lists = {name: self._patterns(name, entries[name][1]) for name in _LISTS if name in entries}
        server = self._server(entries["server"][1]) if "server" in entries else NOTHING
        if missing := [name for name in ("server", "methods") if name not in entries]:
            reader.mistake(node, f"{place} lacks {' and '.join(missing)}; nothing is allowed by absence")
            return None
        grant = Grant(
            scope=scope,
            server=server,
            methods=lists["methods"],
            lists={kind: lists[kind] for kind in Kind if kind in lists},
            line=node.start_mark.line + 1,
        )
        self._doubts(grant, node, entries["methods"][1])
        return grant

    def _agents(self, entries: dict[str, tuple[yaml.Node, yaml.Node]], place: str) -> None:
        """Take the Registry's permissions on its own agents as they are: they grant nothing on a server."""
        for name, (key, _) in entries.items():
            if name != "agents":
                self._reader.mistake(
                    key, f"{shown(name)} cannot stand beside agents in {place}; start a new entry with -"
                )
        self._reader.distinct(entries["agents"][1], "agents")

    def _server(self, node: yaml.Node) -> Patterns:
        patterns = self._compile([node], "server")
        for name in (*patterns.exact, *patterns.prefixes):
            if not _SERVER.fullmatch(name):
                bare = name.strip("/")
                remedy = (
                    f"write {bare}" if _SERVER.fullmatch(bare) else "names hold letters, digits, . _ and -"
                )
                self._reader.warn(
                    node, f"the server {shown(name)} can never match: it is no name of a location; {remedy}"
                )
        return patterns

    def _patterns(self, what: str, node: yaml.Node) -> Patterns:
        """Compile a list of names, or the one string "*" (the Registry writes `tools: '*'`)."""
        found = self._compiled.get(id(node))
        if found is None:
            star = node.tag.endswith(":str") and node.value == "*"
            found = self._compile([node] if star else self._reader.items(node, what), what)
            self._compiled[id(node)] = found
            if "all" in found.exact:
                self._reader.warn(node, f'all is a literal name in {what}; write "*" to grant every one')
        return found

    def _compile(self, nodes: Iterable[yaml.Node], what: str) -> Patterns:
        names = []
        for node in nodes:
            name = self._reader.text(node, f"an element of {what}" if what != "server" else what)
            if name is None:
                continue
            if "*" in name[:-1]:
                self._reader.mistake(
                    node, f'{shown(name)}: * may stand only at the end, for any rest; write prefix* or "*"'
                )
            else:
                names.append(name)
        return Patterns.compile(names)

    def _doubts(self, grant: Grant, node: yaml.Node, methods: yaml.Node) -> None:
        for method in grant.methods.exact:
            if method not in _METHODS_OF_MCP and (hint := self._reader.hint(method, _METHODS_OF_MCP)):
                self._reader.warn(methods, f"{shown(method)} is no method of MCP{hint}")
        if "all" in grant.methods.exact:
            return
        for kind, calls in _CALLS.items():
            named = bool(grant.names(kind))
            if named and not any(method in grant.methods for method in calls):
                self._reader.warn(node, f"{kind} are named, but methods lack {calls[0]}: none can be used")
            elif not named and calls[0] in grant.methods.exact:
                self._reader.warn(node, f"{calls[0]} is granted, but no {kind} are named: none can be used")


def digest(text: str) -> str:
    """Return the name of this text: its SHA-256 in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def _unreadable(path: Path, problem: str) -> ConfigurationError:
    return ConfigurationError([Mistake(str(path), problem)])
