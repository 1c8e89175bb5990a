import base64
import json
import time
from pathlib import Path
from typing import Any

import pytest
from support.command import Command
from support.demo_pool import DemoPool


def unsigned(claims: object, header: object = None) -> str:
    """Write a token whose signature is nothing."""
    parts = [json.dumps(header or {"alg": "RS256", "kid": "k"}), json.dumps(claims), "no signature"]
    return ".".join(base64.urlsafe_b64encode(part.encode()).rstrip(b"=").decode() for part in parts)


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run commands without any settings."""
    return Command(tmp_path, monkeypatch, capsys)


def test_a_token_is_shown_and_not_believed(command: Command) -> None:
    """Header, claims with times in words, time left; the first line says that nothing was verified."""
    now = int(time.time())
    token = unsigned(
        {"sub": "agent", "exp": now + 3230, "iat": 1_800_000_000, "cognito:groups": ["a, b", "c"]}
    )
    outcome = command("decode", stdin=token)
    assert (outcome.code, outcome.err) == (0, "")
    lines = outcome.out.splitlines()
    assert lines[0].startswith("NOT VERIFIED: neither the signature nor anything else was checked")
    assert lines[-1] == "expires in 53 min"
    assert "  alg  RS256" in lines
    assert "  iat             1800000000  (2027-01-15 08:00:00 UTC)" in lines
    assert '  cognito:groups  ["a, b", "c"]' in lines


@pytest.mark.parametrize(
    ("left", "said"),
    [
        (30.5, "expires in 30 s"),
        (90.5, "expires in 1 min"),
        (7100.5, "expires in 118 min"),
        (7300.5, "expires in 2 h"),
        (100_000.5, "expires in 27 h"),
        (200_000.5, "expires in 2 d"),
        (-10, "expired 10 s ago"),
        (-7300, "expired 2 h ago"),
    ],
)
def test_time_left_in_words(
    command: Command, monkeypatch: pytest.MonkeyPatch, left: float, said: str
) -> None:
    """The unit fits the span."""
    monkeypatch.setattr(time, "time", lambda: 1_800_000_000.0)
    outcome = command("decode", stdin=unsigned({"exp": 1_800_000_000 + left}))
    assert outcome.out.splitlines()[-1] == said


@pytest.mark.parametrize("exp", [None, "soon", True, -1, 1e300, [1]])
def test_an_exp_that_is_no_time(command: Command, exp: Any) -> None:
    """Whatever stands in exp, the token is shown."""
    outcome = command("decode", stdin=unsigned({"exp": exp}))
    assert outcome.code == 0
    assert outcome.out.splitlines()[-1].startswith("never expires by its own word")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "a.b",
        "a.b.c.d.e",
        "....",
        "!.!.!",
        "e30.W10.x",
        "e30.eyJhIjoxLCJhIjoyfQ.x",
        "e30.e30=.x",
        "two words",
        "é.é.é",
        b"\xff\xfe.\xff.\xff",
        "x" * 70_000,
        "a" * 10 + "." + "W" * 30_000 + ".c",
    ],
)
def test_what_is_no_token_is_one_line(command: Command, text: str | bytes) -> None:
    """Malformed: exit 1, one line that does not repeat it, never a traceback."""
    outcome = command("decode", stdin=text)
    assert (outcome.code, outcome.out, len(outcome.errors)) == (1, "", 1)
    assert len(outcome.err) < 200


@pytest.mark.parametrize("form", ["{}", "  {}\n", "Bearer {}", "bearer {}\n", "Authorization: Bearer {}"])
def test_what_people_paste(command: Command, form: str) -> None:
    """The header that the token came in may stand before it."""
    assert command("decode", stdin=form.format(unsigned({"sub": "x"}))).code == 0


def test_sources_of_the_token(command: Command) -> None:
    """An argument (with a warning), `-`, and a file."""
    token = unsigned({"sub": "from here"})
    literal = command("decode", token)
    assert (literal.code, len(literal.errors)) == (0, 1)
    assert literal.err.startswith("warning: a token on the command line")
    assert "from here" in command("decode", "-", stdin=token).out
    command.write("token", token)
    assert "from here" in command("decode", "@token").out


def test_claims_cannot_write_to_the_terminal(command: Command) -> None:
    """A token's text may be anybody's: escape sequences and line breaks are shown, not sent."""
    outcome = command("decode", stdin=unsigned({"sub": "a\n\x1b[2J\u202e\x9b1m", "x\ny": 1}))
    assert outcome.code == 0
    assert not set(outcome.out) & {"\x1b", "\u202e", "\x9b"}
    assert r"a\n\x1b[2J" in outcome.out


def test_json_says_that_nothing_was_verified(command: Command) -> None:
    """For programs `verified` is false; a person sees it on standard error."""
    outcome = command("decode", "--json", stdin=unsigned({"sub": "x"}))
    answer = json.loads(outcome.out)
    assert (outcome.code, answer["verified"], answer["claims"]) == (0, False, {"sub": "x"})
    assert outcome.err.startswith("NOT VERIFIED: ")


def test_verify_accepts_a_good_token(trusting: Command, pool: DemoPool) -> None:
    """--verify with the gateway's settings says VERIFIED, and who it is."""
    outcome = trusting("decode", "--verify", stdin=pool.token())
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.splitlines()[0] == "VERIFIED: this gateway accepts it as demo-agent"
    answer = json.loads(trusting("decode", "--verify", "--json", stdin=pool.token()).out)
    assert (answer["verified"], answer["error_code"]) == (True, None)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"COGNITO_ALLOWED_CLIENT_IDS": None}, "INVALID_AUDIENCE"),
        ({"COGNITO_TOKEN_USE": "id"}, "INVALID_TOKEN_USE"),
        ({"COGNITO_JWKS_URL": "http://127.0.0.1:1/"}, "KEYS_UNAVAILABLE"),
    ],
)
def test_verify_names_the_check_that_failed(
    trusting: Command, pool: DemoPool, changes: dict[str, str | None], code: str
) -> None:
    """What the gateway would refuse is NOT VERIFIED with its error_code, exit 1, and shown all the same."""
    outcome = trusting("decode", "--verify", stdin=pool.token(), **changes)
    assert outcome.code == 1
    assert outcome.out.startswith(f"NOT VERIFIED: {code}: ")
    assert "  client_id  demo-agent" in outcome.out


def test_verify_judges_the_time(trusting: Command, pool: DemoPool) -> None:
    """An expired token does not verify."""
    outcome = trusting("decode", "--verify", stdin=pool.token(ahead=-7200))
    assert outcome.code == 1
    assert outcome.out.startswith("NOT VERIFIED: TOKEN_EXPIRED: ")
    assert outcome.out.splitlines()[-1] == "expired 60 min ago"


def test_verify_refuses_a_forged_token(trusting: Command, pool: DemoPool) -> None:
    """Claims that were changed after signing do not verify."""
    header, _, signature = pool.token().split(".")
    _, payload, _ = unsigned({"iss": pool.issuer, "sub": "demo-admin", "exp": 2_000_000_000}).split(".")
    outcome = trusting("decode", "--verify", stdin=f"{header}.{payload}.{signature}")
    assert outcome.code == 1
    assert outcome.out.startswith("NOT VERIFIED: INVALID_SIGNATURE: ")


def test_verify_needs_settings(command: Command) -> None:
    """Without a pool there is nothing to verify with: one line, exit 1."""
    outcome = command("decode", "--verify", stdin=unsigned({"sub": "x"}))
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.startswith("auth-server: COGNITO_USER_POOL_ID: is not set")


def test_as_a_process(command: Command) -> None:
    """Nothing on standard input is one line and exit 1."""
    done = command.process("decode")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
