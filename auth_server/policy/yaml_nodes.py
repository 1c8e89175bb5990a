"""YAML as nodes that know their line, with every construct refused that could hide what a file means."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Any

import yaml

from auth_server.errors import ConfigurationError, Mistake

if TYPE_CHECKING:
    from collections.abc import Iterable

# libyaml where PyYAML was built with it: ten times as fast, and the same nodes.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# Composing is recursive, in C too, where too deep a file would end the process. Ours are five deep.
MAX_DEPTH = 32
MAX_MISTAKES = 100
_SHOWN = 80

_PREFIX = "tag:yaml.org,2002:"
_STRING, _LIST, _MAPPING = f"{_PREFIX}str", f"{_PREFIX}seq", f"{_PREFIX}map"
_NOT_TEXT = {
    f"{_PREFIX}bool": "a boolean",
    f"{_PREFIX}int": "a number",
    f"{_PREFIX}float": "a number",
    f"{_PREFIX}timestamp": "a date",
    f"{_PREFIX}value": "a special key",
    f"{_PREFIX}merge": "a merge key",
}
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


class Reader:
    """Reads one file's nodes as text, lists and mappings, and collects what is wrong with their line."""

    def __init__(self, source: str) -> None:
        self.source = source
        self._mistakes: list[tuple[int, str]] = []
        self._warnings: list[tuple[int, str]] = []

    def mistake(self, at: yaml.Node | int, message: str) -> None:
        """Note something that makes the file unusable."""
        self._mistakes.append((_line(at), message))

    def warn(self, at: yaml.Node | int, message: str) -> None:
        """Note something that may mean less than its author thinks."""
        self._warnings.append((_line(at), message))

    def raise_mistakes(self) -> None:
        """Raise ConfigurationError if there were any, in the order of the file."""
        if found := self._in_order(self._mistakes):
            raise ConfigurationError(found)

    def warnings(self) -> tuple[Mistake, ...]:
        """Return what was warned of, in the order of the file."""
        return tuple(self._in_order(self._warnings))

    def hint(self, word: str, known: Iterable[str]) -> str:
        """Return `; did you mean …?` where a known word is close, else nothing."""
        if len(self._mistakes) + len(self._warnings) > MAX_MISTAKES:
            return ""  # Finding the closest is slow, and nobody will read this far.
        close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.7)
        return f"; did you mean {shown(close[0])}?" if close else ""

    def compose(self, text: str) -> yaml.Node | None:
        """Return the root of the file's only document, or None where it is empty.

        Raises ConfigurationError where the text is not YAML, or uses tags, merge keys or several documents.
        """
        if illegal := _ILLEGAL.search(text):
            line = text.count("\n", 0, illegal.start()) + 1
            self.mistake(line, f"the character U+{ord(illegal[0]):04X} cannot stand in YAML; remove it")
            self.raise_mistakes()
        try:
            self._survey(text)
            self.raise_mistakes()
            return yaml.compose(text, Loader=_LOADER)
        except yaml.YAMLError as error:
            self.mistake(*_told(error, text))
            raise ConfigurationError(self._in_order(self._mistakes)) from None

    def text(self, node: yaml.Node, what: str) -> str | None:
        """Return the node's text, or None and a mistake where it is something else, empty or has controls."""
        if node.tag != _STRING:
            self.mistake(node, f"{what} must be text, not {describe(node)}{_quote(node)}")
            return None
        value: str = node.value
        if not value:
            self.mistake(node, f"{what} is empty; write a name, or remove it")
            return None
        if _CONTROL.search(value):
            self.mistake(node, f"{what} {shown(value)} holds a line break or control character; remove it")
            return None
        return value

    def items(self, node: yaml.Node, what: str) -> list[yaml.Node]:
        """Return the elements of a list; anything else is a mistake and has none."""
        if node.tag == _LIST:
            return list(node.value)
        self.mistake(node, f"{what} must be a list, not {describe(node)}; write [name, …], or [] for none")
        return []

    def entries(self, node: yaml.Node, what: str) -> list[tuple[str, yaml.Node, yaml.Node]]:
        """Return (key, its node, value) of a mapping; a key that stands twice is a mistake."""
        if node.tag != _MAPPING:
            self.mistake(node, f"{what} must be a mapping, not {describe(node)}")
            return []
        seen: dict[str, yaml.Node] = {}
        found = []
        for key, value in node.value:
            if key.tag == f"{_PREFIX}merge":
                self.mistake(key, "the merge key << is not read here; write the keys out")
                continue
            name = self.text(key, f"a key of {what}")
            if name is None:
                continue
            if name in seen:
                self.mistake(key, f"{name} stands here and on line {_line(seen[name])}; keep one of them")
                continue
            seen[name] = key
            found.append((name, key, value))
        return found

    def distinct(self, node: yaml.Node, what: str) -> None:
        """Check a subtree that is carried without being read: its keys must be text and stand once."""
        pending, visited = [node], set()
        while pending:
            current = pending.pop()
            if id(current) in visited:
                continue
            visited.add(id(current))
            if current.tag == _MAPPING:
                pending.extend(value for _, _, value in self.entries(current, what))
            elif current.tag == _LIST:
                pending.extend(current.value)

    def _survey(self, text: str) -> None:
        """Look at the events, without recursion, for what must be known before nodes are built."""
        depth = documents = 0
        for event in yaml.parse(text, Loader=_LOADER):
            line = event.start_mark.line + 1 if event.start_mark else 1
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self.mistake(line, "a second document starts here; keep one document in the file")
                    return
            elif isinstance(event, yaml.CollectionStartEvent):
                depth += 1
                if depth > MAX_DEPTH:
                    self.mistake(line, f"nested more than {MAX_DEPTH} deep; scopes need five levels")
                    return
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
            if tag := getattr(event, "tag", None):
                self.mistake(line, f"the tag {shown(tag)} is not read here; remove it")

    def _in_order(self, found: list[tuple[int, str]]) -> list[Mistake]:
        unique = sorted(dict.fromkeys(found), key=lambda entry: entry[0])
        listed = [Mistake(f"{self.source}:{line}", message) for line, message in unique[:MAX_MISTAKES]]
        if more := len(unique) - len(listed):
            listed.append(Mistake(self.source, f"and {more} more of these"))
        return listed


def describe(node: yaml.Node) -> str:
    """Say what the node is, as a person would."""
    if node.tag == _STRING:
        return f"the text {shown(node.value)}"
    if kind := _NOT_TEXT.get(node.tag):
        return f"{kind} ({shown(node.value)})"
    return {_LIST: "a list", _MAPPING: "a mapping"}.get(node.tag, "nothing")


def shown(value: str) -> str:
    """Return a value fit for a message: no controls, not long."""
    printable = "".join(char if char.isprintable() else "?" for char in value)
    return printable if len(printable) <= _SHOWN else f"{printable[:_SHOWN]}…"


def _line(at: yaml.Node | int) -> int:
    return at if isinstance(at, int) else int(at.start_mark.line) + 1


def _quote(node: yaml.Node) -> str:
    return f'; quote it: "{shown(node.value)}"' if node.tag in _NOT_TEXT else ""


# What YAML 1.1 counts lines by (section 4.2).
_LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")


def _told(error: yaml.YAMLError, text: str) -> tuple[int, str]:
    """Put a parser's error in words: the line, what was found there, and the usual cause."""
    mark = getattr(error, "problem_mark", None)
    line = mark.line if mark else 0
    problem = f"{getattr(error, 'context', None) or ''} {getattr(error, 'problem', None) or ''}".strip()
    if "alias" in problem:
        remedy = 'a name that starts with * must be quoted: "*"'
    elif re.match(r" *\t", "".join(_LINE_BREAK.split(text)[line : line + 1])):
        remedy = "indent with spaces, not with tabs"
    elif "cannot start any token" in problem:
        remedy = "quote a name that starts with a special character"
    else:
        remedy = "check the indentation, colons and brackets here and above"
    return line + 1, f"not valid YAML: {problem}; {remedy}"
