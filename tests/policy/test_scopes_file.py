import hashlib
import os
import time
from pathlib import Path

import pytest
import yaml

from auth_server.errors import ConfigurationError, Mistake
from auth_server.model import Kind
from auth_server.policy import scopes_file, yaml_nodes
from auth_server.policy.decision import Grant
from auth_server.policy.grants import Policy

OURS = Path(__file__).parents[2] / "scopes.yml"
GUID = "0b9f7c1e-5d2a-4e83-9a64-3f1d8c7e2b50"

# The Registry's constructs, each at least once, in words of our own.
REGISTRY_LIKE = f"""\
# Who may use what
UI-Scopes:
  library-admins:
    list_agents:
    - all
    publish_agent: [all]
    toggle_service:
    - all
  library-readers:
    list_agents:
    - /shelf-finder
    - /index-builder
    list_service: [catalogue, loans]

group_mappings:
  library-admins:
  - library-admins
  - books-open/read
  - books-open/execute
  # a group of Entra ID
  "{GUID}":
  - library-readers
  - books-open/read

books-open/read:
- server: '*'
  methods:
  - initialize
  - notifications/initialized
  - ping
  - tools/list
  - tools/call
  - resources/list
  - resources/templates/list
  - GET
  tools: '*'
books-open/execute:
    - server: loans
      methods:
        - initialize
        - tools/list
        - tools/call
        - POST
        - PUT
        - DELETE
      tools: ["*"]
    - server: /context7/
      methods: [tools/call]
      tools: [k8s-api___get_loans, resolve-book-id]
library-readers:
- server: api
  methods: [initialize, GET]
- server: catalogue_v2
  methods: [tools/list, tools/call]
  tools: [find_book]
- agents:
    actions:
    - action: list_agents
      resources: [/shelf-finder]
    - action: get_agent
      resources:
      - all
library-admins:
- server: '*'
  methods:
  - all
  tools:
  - all
- agents: {{actions: [{{action: list_agents, resources: [all]}}]}}
"""


def mistakes(text: str) -> list[str]:
    """Return what is wrong with this text, as it is shown."""
    with pytest.raises(ConfigurationError) as caught:
        scopes_file.parse(text)
    return [str(mistake) for mistake in caught.value.mistakes]


def mistake(text: str) -> str:
    """Return the only mistake in this text."""
    (found,) = mistakes(text)
    return found


def warnings(text: str) -> list[str]:
    """Return what is warned of in a text that loads."""
    return [str(warning) for warning in scopes_file.parse(text).warnings]


def grants(made: Policy, scope: str, server: str) -> list[Grant]:
    """Return the grants of one scope on one server."""
    return list(made.grants((scope,), server))


def test_our_own_file_loads_without_a_doubt() -> None:
    """scopes.yml in this repository has neither mistakes nor warnings."""
    made = scopes_file.load(OURS)
    assert made.warnings == ()
    assert {"mcp-servers-restricted/read", "mcp-servers-unrestricted/execute"} < made.scopes.keys()
    assert made.groups["mcp-registry-user"] == ("mcp-registry-user", "mcp-servers-restricted/read")


def test_a_file_of_the_registry_loads_unchanged() -> None:
    """Every construct of the MCP Gateway Registry's files is read."""
    made = scopes_file.parse(REGISTRY_LIKE)
    assert made.groups[GUID] == ("library-readers", "books-open/read")
    (anything,) = grants(made, "books-open/read", "whatever")
    assert anything.names(Kind.TOOLS).covers_all
    assert "GET" in anything.methods
    assert [grant.server.sources() for grant in grants(made, "library-readers", "api")] == [["api"]]
    assert grants(made, "library-readers", "agents") == []


def test_what_may_mean_less_than_it_seems_is_warned_of() -> None:
    """The Registry's `all`, and its names with slashes, are names here: that is said, with the line."""
    assert warnings(REGISTRY_LIKE) == [
        "scopes.yml:47: the server /context7/ can never match: it is no name of a location; write context7",
        'scopes.yml:66: all is a literal name in methods; write "*" to grant every one',
        'scopes.yml:68: all is a literal name in tools; write "*" to grant every one',
    ]


@pytest.mark.parametrize(
    ("entry", "warning"),
    [
        (
            "{server: x, methods: [tools/list], tools: [a]}",
            "tools are named, but methods lack tools/call: none can",
        ),
        (
            "{server: x, methods: [tools/call]}",
            "tools/call is granted, but no tools are named: none can be used",
        ),
        (
            "{server: x, methods: [prompts/get], prompts: []}",
            "prompts/get is granted, but no prompts are named",
        ),
        ("{server: x, methods: [tools/cal]}", "tools/cal is no method of MCP; did you mean tools/call?"),
        (
            "{server: 'a b', methods: []}",
            "the server a b can never match: it is no name of a location; names hold",
        ),
        (
            "{server: 'a/*', methods: []}",
            "the server a/ can never match: it is no name of a location; write a",
        ),
    ],
)
def test_a_grant_that_is_of_no_use_is_warned_of(entry: str, warning: str) -> None:
    """A grant that looks as if it gave something, and does not, is pointed out."""
    (found,) = warnings(f"a/b:\n- {entry}\n")
    assert found.startswith(f"scopes.yml:2: {warning}")


@pytest.mark.parametrize(
    "entry",
    [
        "{server: x, methods: ['*']}",
        "{server: x, methods: ['tools/*'], tools: [a]}",
        "{server: 'Team_1.x-*', methods: [resources/subscribe], resources: ['a*']}",
        "{server: x, methods: [vendor/own-method]}",
    ],
)
def test_a_sound_grant_is_not_warned_of(entry: str) -> None:
    """No noise about what works."""
    assert warnings(f"a/b:\n- {entry}\n") == []


def test_a_scope_that_nobody_can_have_is_warned_of() -> None:
    """Without a group and without a `/`, no token and no user has it."""
    (found,) = warnings("alone: []\nwith/slash: []\nmapped: []\ngroup_mappings: {g: [mapped]}\n")
    assert (
        found
        == "scopes.yml:1: nobody has the scope alone: no group maps to it, and a token's scopes hold a /"
    )


def test_a_scope_of_the_ui_alone_may_be_mapped() -> None:
    """Scopes under UI-Scopes exist, and grant nothing here."""
    made = scopes_file.parse("UI-Scopes: {ui: {list_service: [all]}}\ngroup_mappings: {g: [ui]}\n")
    assert made.groups == {"g": ("ui",)}
    assert made.scopes == {}
    assert made.warnings == ()


def test_an_empty_scope_grants_nothing() -> None:
    """An empty list is a scope that exists."""
    made = scopes_file.parse("a/b: []\n")
    assert grants(made, "a/b", "x") == []
    assert "a/b" in made.scopes


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "1: the file is empty; it needs at least one scope with its grants"),
        ("# nothing\n---\n", "1: the file is empty; it needs at least one scope with its grants"),
        ("- a\n", "1: the file must be a mapping, not a list"),
        ("text", "1: the file must be a mapping, not the text text"),
        ("a/b:\n", "1: the scope a/b must be a list of grants, not nothing; [] grants nothing"),
        ("a/b: x\n", "1: the scope a/b must be a list of grants, not the text x; [] grants nothing"),
        (
            "a/b:\n  server: x\n",
            "2: the scope a/b must be a list of grants, not a mapping; start each grant with - server:",
        ),
        (
            "group_mapping:\n  g: []\n",
            "2: the scope group_mapping must be a list of grants, not a mapping; did you mean group_mappings",
        ),
        ("a/b:\n- x\n", "2: a grant of a/b must be a mapping, not the text x"),
        ("a/b:\n- {}\n", "2: a grant of a/b lacks server and methods; nothing is allowed by absence"),
        ("a/b:\n- server: x\n", "2: a grant of a/b lacks methods; nothing is allowed by absence"),
        ("a/b:\n- methods: []\n", "2: a grant of a/b lacks server; nothing is allowed by absence"),
        (
            "a/b:\n- {server: x, methods: [], tool: []}\n",
            "2: tool is not a key of a grant; did you mean tools?",
        ),
        (
            "a/b:\n- {server: x, methods: [], zzz: 1}\n",
            "2: zzz is not a key of a grant; expected server, methods, tools, prompts, resources",
        ),
        ("a/b:\n- {server: 7, methods: []}\n", '2: server must be text, not a number (7); quote it: "7"'),
        ("a/b:\n- {server: [x], methods: []}\n", "2: server must be text, not a list"),
        ("a/b:\n- {server: '', methods: []}\n", "2: server is empty; write a name, or remove it"),
        (
            "a/b:\n- {server: 'a*b', methods: []}\n",
            '2: a*b: * may stand only at the end, for any rest; write prefix* or "*"',
        ),
        (
            "a/b:\n- server: x\n  methods: ping\n",
            "3: methods must be a list, not the text ping; write [name, …], or [] for none",
        ),
        (
            "a/b:\n- server: x\n  methods:\n",
            "3: methods must be a list, not nothing; write [name, …], or [] for none",
        ),
        (
            "a/b:\n- server: x\n  methods: [tools/call]\n  tools: [yes]\n",
            '4: an element of tools must be text, not a boolean (yes); quote it: "yes"',
        ),
        (
            "a/b:\n- server: x\n  methods: [resources/read]\n  resources: [2026-01-01]\n",
            '4: an element of resources must be text, not a date (2026-01-01); quote it: "2026-01-01"',
        ),
        (
            "a/b:\n- server: x\n  methods:\n  - ping\n  -\n",
            "5: an element of methods must be text, not nothing",
        ),
        (
            'a/b:\n- server: x\n  methods: ["a\\nb"]\n',
            "3: an element of methods a?b holds a line break or control character; remove it",
        ),
        (
            "a/b:\n- {agents: {}, server: x}\n",
            "2: server cannot stand beside agents in a grant of a/b; start a new entry with -",
        ),
        (
            "a/b:\n- agents: {actions: [{action: x, action: y}]}\n",
            "2: action stands here and on line 2; keep one of them",
        ),
        ("a/b: []\na/c: []\na/b: []\n", "3: a/b stands here and on line 1; keep one of them"),
        (
            "a/b:\n- server: x\n  methods: []\n  server: y\n",
            "4: server stands here and on line 2; keep one of them",
        ),
        ("1: []\n", '1: a key of the file must be text, not a number (1); quote it: "1"'),
        ("? [a]\n: []\n", "1: a key of the file must be text, not a list"),
        ("<<: {a/b: []}\n", "1: the merge key << is not read here; write the keys out"),
        ("a/b: !!seq []\n", "1: the tag tag:yaml.org,2002:seq is not read here; remove it"),
        (
            "a/b: !!python/object:os.system []\n",
            "1: the tag tag:yaml.org,2002:python/object:os.system is not read here; remove it",
        ),
        ("a/b: []\n---\na/c: []\n", "2: a second document starts here; keep one document in the file"),
        ("a/b: []\ngroup_mappings: []\n", "2: group_mappings must be a mapping, not a list"),
        (
            "a/b: []\ngroup_mappings:\n  g: a/b\n",
            "3: the group g must be a list, not the text a/b; write [name, …], or [] for none",
        ),
        (
            "group_mappings:\n  g: [1]\n",
            '2: a scope of the group g must be text, not a number (1); quote it: "1"',
        ),
        (
            "tools/read: []\ngroup_mappings:\n  g:\n  - tools/raed\n",
            "4: the group g maps to tools/raed, which is no scope; did you mean tools/read?",
        ),
        (
            "a/b: []\ngroup_mappings:\n  g: [other]\n",
            "3: the group g maps to other, which is no scope; define it in this file or under UI-Scopes",
        ),
        ("UI-Scopes: [a]\n", "1: UI-Scopes must be a mapping, not a list"),
        ("UI-Scopes:\n  ui: [a]\n", "2: the UI scope ui must be a mapping, not a list"),
        (
            "UI-Scopes:\n  ui:\n    act: all\n",
            "3: act must be a list, not the text all; write [name, …], or [] for none",
        ),
        (
            "UI-Scopes:\n  ui:\n    act: [true]\n",
            '3: an element of act must be text, not a boolean (true); quote it: "true"',
        ),
        (
            "a/b:\n- server: *\n",
            "2: not valid YAML: while scanning an alias did not find expected alphabetic",
        ),
        ("a/b:\n- server: *x\n", "2: not valid YAML: found undefined alias"),
        ("a/b:\n  - server: x\n\t- methods: []\n", "3: not valid YAML: "),
        (
            "a/b:\n- server: @x\n",
            "2: not valid YAML: while scanning for the next token found character that cannot start",
        ),
        ("a/b:\n- server: x\n methods: []\n", "3: not valid YAML: "),
        ("a/b: [1\n", "2: not valid YAML: "),
        ("a/b: []\nb: \x07\n", "2: the character U+0007 cannot stand in YAML; remove it"),
        ("a/b: []\n\nb: \ud800\n", "3: the character U+D800 cannot stand in YAML; remove it"),
        ("[" * 200_000, "1: nested more than 32 deep; scopes need five levels"),
        ("- " * 200_000, "1: nested more than 32 deep; scopes need five levels"),
    ],
)
def test_a_mistake_names_line_and_remedy(text: str, expected: str) -> None:
    """What is wrong is said with its line and what was expected."""
    assert mistake(text).startswith(f"scopes.yml:{expected}")


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("a/b:\n- server: *\n", 'a name that starts with * must be quoted: "*"'),
        ("a/b:\n- server: x\n\tmethods: []\n", "indent with spaces, not with tabs"),
        ("a/b:\n- server: @x\n", "quote a name that starts with a special character"),
        ("a/b:\n- server: x\n methods: []\n", "check the indentation, colons and brackets here and above"),
        ("a/b: [c\r\r\r\rd: `", "check the indentation, colons and brackets here and above"),
        ("a/b:\r- server: x\r\tmethods: []\r", "indent with spaces, not with tabs"),
    ],
)
def test_a_text_that_is_not_yaml_gets_the_usual_cause(text: str, remedy: str) -> None:
    """The parser's words are followed by what people mostly did."""
    assert mistake(text).endswith(remedy)


def test_all_mistakes_are_told_at_once_and_in_order() -> None:
    """One answer holds everything that is wrong."""
    text = "group_mappings: {g: [x]}\na/b:\n- {server: 1, method: [2], tools: [3, 4]}\n- {}\nc: x\n"
    assert [found.split(":")[1] for found in mistakes(text)] == ["1", "3", "3", "3", "3", "3", "4", "5"]


def test_a_flood_of_mistakes_is_cut() -> None:
    """Past a hundred the rest is counted, and no time is spent on guesses."""
    names = ", ".join(f"scope/{number}" for number in range(3000))
    start = time.monotonic()
    found = mistakes(f"a/b: []\ngroup_mappings:\n  g: [{names}]\n")
    assert time.monotonic() - start < 10
    assert len(found) == yaml_nodes.MAX_MISTAKES + 1
    assert found[-1] == f"scopes.yml: and {3000 - yaml_nodes.MAX_MISTAKES} more of these"


def test_a_long_value_is_cut_in_messages() -> None:
    """A message stays one readable line."""
    assert len(mistake(f"a/b: {'x' * 5000}\n")) < 200


def test_an_anchor_may_be_referred_to() -> None:
    """Aliases are plain YAML; a list that many grants share is compiled once."""
    made = scopes_file.parse(
        "a/b:\n- {server: x, methods: &m [tools/call], tools: &t [one]}\n"
        "- {server: y, methods: *m, tools: *t}\n"
    )
    (first,), (second,) = grants(made, "a/b", "x"), grants(made, "a/b", "y")
    assert first.names(Kind.TOOLS) is second.names(Kind.TOOLS)


def test_aliases_multiply_neither_time_nor_space() -> None:
    """Ten thousand grants that share a list of ten thousand tools load as quickly as one."""
    tools = ", ".join(f"tool_{number}" for number in range(10_000))
    entries = "- {server: s, methods: *m, tools: *t}\n" * 10_000
    start = time.process_time()  # not the other programs' of this machine
    scopes_file.parse(f"a/b:\n- {{server: x, methods: &m [tools/call], tools: &t [{tools}]}}\n{entries}")
    assert time.process_time() - start < 10


def test_a_list_that_holds_itself_is_refused() -> None:
    """A recursive alias ends in a mistake, not in a loop."""
    assert mistake("a/b: &x [*x]\n").endswith("a grant of a/b must be a mapping, not a list")
    assert scopes_file.parse("a/b:\n- agents: &x [*x]\n").scopes.keys() == {"a/b"}


def test_a_byte_order_mark_is_no_matter() -> None:
    """Some editors write one."""
    assert "a/b" in scopes_file.parse("\ufeffa/b: []\n").scopes


def test_names_outside_ascii_are_names() -> None:
    """Groups and tools may be written in any language."""
    made = scopes_file.parse(
        "a/b:\n- {server: x, methods: [tools/call], tools: [změřit čas]}\ngroup_mappings: {Čtenáři: [a/b]}\n"
    )
    assert "změřit čas" in grants(made, "a/b", "x")[0].names(Kind.TOOLS)


def test_a_policy_knows_its_text() -> None:
    """The digest names the text, so that workers can be compared."""
    text = "a/b: []\n"
    made = scopes_file.parse(text, source="other.yml")
    assert (made.digest, made.source) == (hashlib.sha256(text.encode()).hexdigest(), "other.yml")


def test_the_loader_without_libyaml_says_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyYAML may have been built without libyaml; policies and places do not change."""
    expected = scopes_file.parse(REGISTRY_LIKE)
    monkeypatch.setattr(yaml_nodes, "_LOADER", yaml.SafeLoader)
    assert scopes_file.parse(REGISTRY_LIKE) == expected
    assert mistake("[" * 200_000).startswith("scopes.yml:1: nested more")
    assert mistake("a/b:\n- server: *\n").startswith("scopes.yml:2: not valid YAML")


def test_a_large_file_loads() -> None:
    """200 scopes for 1,000 servers with 50 tools each: 50,000 names."""
    tools = "".join(f"  - tool_{number}\n" for number in range(50))
    text = "".join(
        f"scope{scope}/read:\n"
        + "".join(
            f"- server: s{scope * 5 + server}\n  methods: [tools/list, tools/call, GET]\n  tools:\n{tools}"
            for server in range(5)
        )
        for scope in range(200)
    )
    made = scopes_file.parse(text)
    assert "tool_49" in grants(made, "scope199/read", "s999")[0].names(Kind.TOOLS)


def read_mistake(path: Path) -> Mistake:
    """Return why the file cannot be loaded."""
    with pytest.raises(ConfigurationError) as caught:
        scopes_file.load(path)
    (found,) = caught.value.mistakes
    return found


def test_a_file_is_loaded_under_its_name(tmp_path: Path) -> None:
    """Places name the file, as short as it can be found."""
    path = tmp_path / "policy.yml"
    path.write_text("a/b: x\n")
    assert read_mistake(path).place == "policy.yml:1"


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    """The path and the setting are named."""
    found = read_mistake(tmp_path / "none.yml")
    assert found == Mistake(str(tmp_path / "none.yml"), "does not exist; set SCOPES_FILE to your scopes.yml")


def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    """A folder, or a pipe that would block for ever, is refused."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        assert read_mistake(path).message == "is not a regular file; SCOPES_FILE names a YAML file"


def test_a_path_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    """The system's reason is given, and no traceback."""
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    assert "symbolic links" in read_mistake(loop).message
    assert read_mistake(Path("a\0b")).message.startswith("cannot be read (not a usable path)")


def test_a_file_that_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody writes sixteen megabytes by hand."""
    monkeypatch.setattr(scopes_file, "MAX_BYTES", 1024**2)
    path = tmp_path / "scopes.yml"
    path.write_text("#" * (1024**2 + 1))
    assert read_mistake(path).message == "is larger than 1 MiB; use prefixes such as team-*"


@pytest.mark.parametrize("raw", [b"a/b: []\n# caf\xe9\n", "a/b: []\n".encode("utf-16")])
def test_a_file_that_is_not_utf_8_is_refused(tmp_path: Path, raw: bytes) -> None:
    """One encoding; the line and byte that break it are named."""
    path = tmp_path / "scopes.yml"
    path.write_bytes(raw)
    assert "is not UTF-8; save the file as UTF-8" in read_mistake(path).message
