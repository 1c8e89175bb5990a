import json
import socket
import time
from pathlib import Path

import pytest
from support.command import SCOPES, SECRET_KEY, Command
from support.demo_pool import DemoPool

from auth_server.contract import SESSION_COOKIE
from auth_server.identity import session_cookie

READ = "mcp-servers-restricted/read"
TIME = ("--server", "currenttime", "--method", "tools/call", "--target", "current_time_by_timezone")
CONVERT = ("--server", "currenttime", "--method", "tools/call", "--target", "convert_time")
COMPLETE = ("explain", "--server", "currenttime", "--method", "completion/complete")


def line_of(scope: str, which: int = 0) -> int:
    """Return the line where a grant of this scope starts."""
    lines = SCOPES.splitlines()
    start = lines.index(f"{scope}:")
    return [n for n, line in enumerate(lines, 1) if n > start and line.startswith("  - server:")][which]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run commands beside the repository's scopes.yml, without any settings."""
    command = Command(tmp_path, monkeypatch, capsys)
    command.write("scopes.yml", SCOPES)
    return command


def cookie(*groups: str, ago: float = 0, username: str = "uma") -> str:
    """Return a session cookie as the gateway signs it."""
    session = session_cookie.Session(username, groups, "sid")
    return session_cookie.mint(session, [SECRET_KEY], now=time.time() - ago)


def test_what_is_granted_names_the_rule(command: Command) -> None:
    """ALLOWED names scope, file, line and call; no settings are needed for a scope."""
    outcome = command("explain", *TIME, "--scope", READ)
    call = "currenttime tools/call current_time_by_timezone"
    expected = f"ALLOWED: scope {READ} (scopes.yml:{line_of(READ)}) grants {call}\n"
    assert (outcome.code, outcome.out, outcome.err) == (0, expected, "")


def test_what_is_not_granted_names_the_nearest_grants(command: Command) -> None:
    """DENIED names what comes closest: grants that would do and are not held, and the grant that is held."""
    outcome = command("explain", *CONVERT, "--scope", READ)
    assert outcome.code == 1
    reason, _, nearest = outcome.out.strip().partition("; nearest grants: ")
    assert reason == "DENIED: no scope grants tools/call convert_time on currenttime"
    wide = "mcp-servers-unrestricted/read"
    first, *_, last = nearest.split("; ")
    names = "convert_time, current_time_by_timezone"
    assert (
        first == f"scope {wide} (scopes.yml:{line_of(wide)}) grants currenttime tools/call {names} (not held)"
    )
    assert (
        last
        == f"scope {READ} (scopes.yml:{line_of(READ)}) grants currenttime tools/call current_time_by_timezone"
    )


def test_a_group_counts_for_what_it_maps_to(command: Command) -> None:
    """Groups are read through group_mappings, several together."""
    outcome = command("explain", *CONVERT, "--group", "mcp-registry-user", "--group", "mcp-registry-admin")
    assert outcome.code == 0
    assert outcome.out.startswith("ALLOWED: scope mcp-servers-unrestricted/read (")


def test_a_group_of_that_name_is_no_scope(command: Command) -> None:
    """A group that maps to nothing grants nothing, and the reader is told."""
    outcome = command("explain", *TIME, "--group", READ)
    assert outcome.code == 1
    assert outcome.err == f"note: the group {READ} is not in group_mappings of scopes.yml: it means nothing\n"


def test_a_scope_without_grants_is_told(command: Command) -> None:
    """A misspelt scope grants nothing, and the reader is told."""
    outcome = command("explain", *TIME, "--scope", "mcp-servers-restricted/raed")
    assert outcome.code == 1
    assert outcome.err == "note: the scope mcp-servers-restricted/raed has no grants in scopes.yml\n"


def test_a_handshake_needs_any_grant(command: Command) -> None:
    """A handshake method, and what has no method, say that any grant on the server does."""
    outcome = command("explain", "--server", "currenttime", "--method", "initialize", "--scope", READ)
    assert outcome.code == 0
    assert outcome.out.endswith(" grants currenttime initialize (any grant on the server)\n")
    outcome = command("explain", "--server", "currenttime", "--scope", READ)
    assert outcome.code == 0
    assert outcome.out.endswith("(any grant on the server)\n")
    outcome = command("explain", "--server", "fininfo", "--method", "ping", "--scope", READ)
    assert outcome.code == 1
    assert outcome.out.startswith("DENIED: no scope grants anything on server fininfo; nearest grants: ")


def test_an_unknown_server_says_which_are_named(command: Command) -> None:
    """A server that no scope names is not confused with a missing grant."""
    command.write(
        "scopes.yml", "a/b:\n  - {server: one, methods: ['*']}\n  - {server: two, methods: ['*']}\n"
    )
    outcome = command("explain", "--server", "three", "--method", "ping", "--scope", "a/b")
    assert outcome.out == "DENIED: no scope in scopes.yml names server three; it names one, two\n"


def test_long_lists_are_cut(command: Command) -> None:
    """Of a grant with many names the first few are shown."""
    tools = ", ".join(f"t{number:02}" for number in range(50))
    command.write("scopes.yml", f"a/b:\n  - {{server: one, methods: [tools/call], tools: [{tools}]}}\n")
    outcome = command(
        "explain", "--server", "one", "--method", "tools/call", "--target", "x", "--scope", "a/b"
    )
    assert outcome.out.endswith("grants one tools/call t00, t01, t02, t03, t04 and 45 more\n")


def test_what_a_grant_lacks_is_said(command: Command) -> None:
    """A grant without the method shows its methods; one without names of that kind says so."""
    command.write("scopes.yml", "a/b:\n  - {server: one, methods: [prompts/get, tools/call], tools: [x]}\n")
    prompts = command(
        "explain", "--server", "one", "--method", "prompts/get", "--target", "x", "--scope", "a/b"
    )
    assert prompts.out.endswith("(scopes.yml:2) grants one prompts/get no prompts\n")
    lists = command("explain", "--server", "one", "--method", "tools/list", "--scope", "a/b")
    assert lists.out.endswith("(scopes.yml:2) grants one prompts/get, tools/call\n")


@pytest.mark.parametrize(
    ("target", "code"),
    [("prompt:plan_meeting", 0), ("resource:time://zones", 0), ("prompt:other", 1), ("resource:time://x", 1)],
)
def test_a_completion_names_a_prompt_or_a_resource(command: Command, target: str, code: int) -> None:
    """The target of completion/complete says which of the two it is; a URI keeps its colons."""
    outcome = command(*COMPLETE, "--target", target, "--group", "mcp-registry-developer")
    assert outcome.code == code


def test_every_target_must_be_granted(command: Command) -> None:
    """Several targets of one call are judged together."""
    grant = "{server: one, methods: [subscriptions/listen], resources: ['a://1', 'a://2']}"
    command.write("scopes.yml", f"a/b:\n  - {grant}\n")
    call = ("explain", "--server", "one", "--method", "subscriptions/listen", "--scope", "a/b")
    assert command(*call, "--target", "a://1", "--target", "a://2").code == 0
    assert command(*call, "--target", "a://1", "--target", "a://3").code == 1
    assert command(*call).code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--method", "tools/call", "--scope", "x"), "tools/call is about something: say what with --target"),
        (("--method", "tools/list", "--target", "t", "--scope", "x"), "leave --target out"),
        (("--target", "t", "--scope", "x"), "leave --target out"),
        (("--method", "completion/complete", "--target", "t", "--scope", "x"), "prompt:NAME or resource:URI"),
        (("--method", "tools/call", "--target", "", "--scope", "x"), "must not be empty"),
        (("--method", "tools/call", "--target", "a\nb", "--scope", "x"), "control characters"),
        (("--method", "tools list", "--scope", "x"), "printable ASCII"),
        (("--method", "ping"), "give --token, --cookie, or --scope and --group"),
        (("--method", "ping", "--token", "-", "--scope", "x"), "instead of a token or cookie"),
        (("--method", "ping", "--token", "-", "--cookie", "-"), "not allowed with argument"),
    ],
)
def test_a_question_without_one_meaning_is_wrong_use(
    command: Command, arguments: tuple[str, ...], said: str
) -> None:
    """What could not be asked of a gateway is exit 2 and one line."""
    outcome = command("explain", "--server", "currenttime", *arguments)
    assert (outcome.code, outcome.out, len(outcome.errors)) == (2, "", 1)
    assert said in outcome.err


def test_a_server_that_is_no_name_is_wrong_use(command: Command) -> None:
    """A server's name is read as the sidecar reads it."""
    outcome = command("explain", "--server", "a/b", "--method", "ping", "--scope", READ)
    assert outcome.code == 2
    assert "not a server's name" in outcome.err


def test_a_mistake_in_scopes_is_told_with_its_line(command: Command) -> None:
    """Nothing is explained from half a policy."""
    command.write("scopes.yml", "a/b: 1\n")
    outcome = command("explain", *TIME, "--scope", READ)
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.startswith("auth-server: scopes.yml:1: ")


def test_other_settings_need_not_be_right_for_a_scope(command: Command) -> None:
    """A question about scopes reads SCOPES_FILE alone."""
    command.write("mine.yml", SCOPES)
    outcome = command("explain", *TIME, "--scope", READ, SCOPES_FILE="mine.yml", JWKS_REFRESH="x")
    assert "(mine.yml:" in outcome.out


def test_a_token_is_verified_and_judged(trusting: Command, pool: DemoPool) -> None:
    """A token from standard input, with its scopes."""
    outcome = trusting("explain", *TIME, "--token", "-", stdin=pool.token() + "\n")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.startswith(f"ALLOWED: scope {READ} (")
    denied = trusting("explain", *CONVERT, "--token", "-", stdin=f"Authorization: Bearer {pool.token()}")
    assert denied.code == 1
    assert denied.out.startswith("DENIED: no scope grants tools/call convert_time on currenttime; nearest")


def test_a_users_token_counts_by_its_groups(trusting: Command, pool: DemoPool) -> None:
    """Groups in the token count for what they map to; scopes of sign-in are not remarked upon."""
    outcome = trusting("explain", *TIME, "--token", "-", stdin=pool.user_token("mcp-registry-user"))
    assert (outcome.code, outcome.err) == (0, "")
    answer = json.loads(trusting("explain", *TIME, "--json", "--token", "-", stdin=pool.user_token("x")).out)
    assert (answer["allowed"], answer["identity"]["username"]) == (False, "uma")


def test_a_token_that_is_bound_to_another_server(trusting: Command, pool: DemoPool) -> None:
    """A token for one MCP server (RFC 8707) is explained as the gateway judges it: not for another."""
    for server, code in (("currenttime", 0), ("fininfo", 1)):
        bound = pool.user_token("mcp-registry-user", aud=f"http://localhost:8080/{server}/mcp")
        outcome = trusting("explain", *TIME, "--token", "-", stdin=bound)
        assert outcome.code == code
        assert outcome.out.startswith("DENIED: INVALID_AUDIENCE: " if code else "ALLOWED: ")


def test_a_token_from_a_file(trusting: Command, pool: DemoPool) -> None:
    """@path reads the token from a file; a literal works with a warning."""
    trusting.write("token", pool.token())
    outcome = trusting("explain", *TIME, "--token", "@token")
    assert (outcome.code, outcome.err) == (0, "")
    outcome = trusting("explain", *TIME, "--token", pool.token())
    assert outcome.code == 0
    assert outcome.err.startswith("warning: a token on the command line shows in the list of processes")


def test_an_expired_token_is_denied_with_its_code(trusting: Command, pool: DemoPool) -> None:
    """What does not verify is DENIED with the error_code that a client would get."""
    outcome = trusting("explain", *TIME, "--token", "-", stdin=pool.token(ahead=-7200))
    assert outcome.code == 1
    assert outcome.out.startswith("DENIED: TOKEN_EXPIRED: the token expired ")
    answer = json.loads(
        trusting("explain", *TIME, "--token", "-", "--json", stdin=pool.token(ahead=-7200)).out
    )
    assert (answer["allowed"], answer["error_code"]) == (False, "TOKEN_EXPIRED")


def test_a_client_that_is_not_accepted(trusting: Command, pool: DemoPool) -> None:
    """A good token of another app client is denied with the setting to change."""
    outcome = trusting("explain", *TIME, "--token", "-", stdin=pool.token(), COGNITO_ALLOWED_CLIENT_IDS=None)
    assert outcome.code == 1
    assert outcome.out.startswith("DENIED: INVALID_AUDIENCE: ")
    assert "COGNITO_ALLOWED_CLIENT_IDS" in outcome.out


@pytest.mark.parametrize(
    ("token", "code"),
    [
        ("nonsense", "TOKEN_MALFORMED"),
        ("a.b.c", "TOKEN_MALFORMED"),
        ("two words", "TOKEN_MALFORMED"),
        ("ünïcode", "TOKEN_MALFORMED"),
    ],
)
def test_what_is_no_token(trusting: Command, token: str, code: str) -> None:
    """Anything else is DENIED in one line."""
    outcome = trusting("explain", *TIME, "--token", "-", stdin=token)
    assert outcome.code == 1
    assert outcome.out.startswith(f"DENIED: {code}: ")
    assert outcome.out.count("\n") == 1


def test_keys_that_cannot_be_fetched(trusting: Command, pool: DemoPool) -> None:
    """Without keys nothing is decided, and the address that failed is named."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    url = f"http://127.0.0.1:{port}/jwks.json"
    outcome = trusting("explain", *TIME, "--token", "-", stdin=pool.token(), COGNITO_JWKS_URL=url)
    assert outcome.code == 1
    assert outcome.out.startswith("DENIED: KEYS_UNAVAILABLE: ")
    assert url in outcome.out
    assert outcome.err == ""


def test_a_token_needs_right_settings(command: Command) -> None:
    """To verify, the pool must be known."""
    outcome = command("explain", *TIME, "--token", "-", stdin="a.b.c")
    assert outcome.code == 1
    assert outcome.err.startswith("auth-server: COGNITO_USER_POOL_ID: is not set")


def test_a_cookie_is_verified_and_judged(trusting: Command) -> None:
    """A session cookie, as its value or as it stands in a Cookie header."""
    value = cookie("mcp-registry-user")
    for form in (value, f"{SESSION_COOKIE}={value}", f"Cookie: a=b; {SESSION_COOKIE}={value}; c=d"):
        outcome = trusting("explain", *TIME, "--cookie", "-", stdin=form)
        assert (outcome.code, outcome.err) == (0, "")
        assert outcome.out.startswith(f"ALLOWED: scope {READ} (")


def test_cookies_that_do_not_verify(trusting: Command) -> None:
    """Expired and foreign cookies are denied with their codes."""
    old = trusting("explain", *TIME, "--cookie", "-", stdin=cookie("mcp-registry-user", ago=30_000))
    assert (old.code, old.out[:26]) == (1, "DENIED: SESSION_EXPIRED: t")
    forged = trusting("explain", *TIME, "--cookie", "-", stdin=cookie("mcp-registry-user") + "x")
    assert (forged.code, forged.out[:25]) == (1, "DENIED: SESSION_INVALID: ")
    none = trusting("explain", *TIME, "--cookie", "-", stdin=cookie("x"), SECRET_KEY=None)
    assert (none.code, "SECRET_KEY is not set" in none.out) == (1, True)


@pytest.mark.parametrize("value", ["", "  \n", "x" * 70_000])
def test_secrets_that_are_none(trusting: Command, value: str) -> None:
    """Nothing at all, or too much, is one line."""
    outcome = trusting("explain", *TIME, "--token", "-", stdin=value)
    assert (outcome.code, outcome.out, len(outcome.errors)) == (1, "", 1)


def test_a_file_that_does_not_exist(trusting: Command) -> None:
    """@path of nothing is one line."""
    outcome = trusting("explain", *TIME, "--cookie", "@absent")
    assert (outcome.code, outcome.out, len(outcome.errors)) == (1, "", 1)
    assert "absent: No such file" in outcome.err


def test_json_holds_the_whole_rule(command: Command) -> None:
    """For programs: decision, rule, nearest grants, and what the caller holds."""
    answer = json.loads(command("explain", *TIME, "--group", "mcp-registry-user", "--json").out)
    assert answer["allowed"]
    assert answer["rule"]["scope"] == READ
    assert answer["rule"]["line"] == line_of(READ)
    assert answer["targets"] == [{"tools": "current_time_by_timezone"}]
    assert answer["scopes"] == ["mcp-registry-user", READ]
    denied = json.loads(command("explain", *CONVERT, "--scope", READ, "--json").out)
    assert not denied["allowed"]
    assert denied["rule"] is None
    assert [(near["held"], near["line"]) for near in denied["nearest"]][-1] == (True, line_of(READ))


def test_a_name_cannot_write_to_the_terminal(trusting: Command) -> None:
    """Escape sequences in names that come from outside are shown, not sent."""
    outcome = trusting("explain", *TIME, "--cookie", "-", stdin=cookie("\x1b[31mred"))
    assert outcome.code == 1
    assert "\x1b" not in outcome.out + outcome.err
    assert r"\x1b[31mred" in outcome.err


def test_as_a_process(command: Command) -> None:
    """The command exits as its answer says, also where the terminal knows ASCII alone."""
    done = command.process("explain", *TIME, "--scope", READ)
    assert (done.returncode, done.stderr) == (0, "")
    done = command.process("explain", *CONVERT, "--scope", "Ünbekannt", PYTHONIOENCODING="ascii")
    assert done.returncode == 1
    assert done.stderr == "note: the scope \\xdcnbekannt has no grants in scopes.yml\n"
