import json
from pathlib import Path

import pytest
from support.command import SCOPES, SECRET_KEY, Command

GOOD = {
    "COGNITO_USER_POOL_ID": "us-east-1_AbCdEfGhI",
    "COGNITO_CLIENT_ID": "web",
    "COGNITO_ALLOWED_CLIENT_IDS": "agent,another-agent",
    "SECRET_KEY": SECRET_KEY,
}


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run commands in a folder with a good scopes.yml and good settings."""
    command = Command(tmp_path, monkeypatch, capsys, dict(GOOD))
    command.write("scopes.yml", SCOPES)
    return command


def test_a_good_configuration_is_summed_up(command: Command) -> None:
    """On success: exit 0, nothing on standard error, and what is trusted on standard output."""
    outcome = command("check")
    assert (outcome.code, outcome.err) == (0, "")
    for part in ("us-east-1_AbCdEfGhI", "agent, another-agent, web", "mcp-servers-restricted/read"):
        assert part in outcome.out
    for part in ("mcp-registry-operator", "currenttime, fininfo, *"):
        assert part in outcome.out


def test_no_secret_is_shown(command: Command) -> None:
    """Neither success nor failure repeats a secret."""
    secrets = {"COGNITO_CLIENT_SECRET": "do not show this", "SECRET_KEY": "short"}
    outcomes = [command("check"), command("check", **secrets), command("check", "--json", **secrets)]
    for outcome in outcomes:
        assert SECRET_KEY not in outcome.out + outcome.err
        assert "do not show" not in outcome.out + outcome.err
        assert "short" not in outcome.err.replace("shorter", "")


def test_mistakes_in_the_settings_do_not_hide_those_in_scopes(command: Command) -> None:
    """Every mistake of both is one line: place, colon, what to do."""
    command.write("scopes.yml", "a/b:\n  - server: x\n    methodz: ['*']\n")
    outcome = command("check", COGNITO_USER_POOL_ID=None, JWKS_REFRESH="5s")
    assert outcome.code == 1
    assert outcome.out == ""
    places = [line.partition(": ")[0] for line in outcome.errors]
    assert {"COGNITO_USER_POOL_ID", "JWKS_REFRESH", "scopes.yml:3"} <= set(places)
    assert all(line.partition(": ")[2] for line in outcome.errors)


def test_a_missing_scopes_file_is_a_mistake(command: Command) -> None:
    """What does not exist is named with the setting that points at it."""
    outcome = command("check", SCOPES_FILE="elsewhere.yml")
    assert outcome.code == 1
    assert outcome.errors == ["elsewhere.yml: does not exist; set SCOPES_FILE to your scopes.yml"]


def test_scopes_file_may_be_named_by_a_file(command: Command) -> None:
    """SCOPES_FILE_FILE counts also where other settings are wrong."""
    command.write("rules.yml", "a/b: 1\n")
    command.write("which", "rules.yml\n")
    outcome = command("check", SCOPES_FILE_FILE="which", JWKS_REFRESH="x")
    assert outcome.code == 1
    assert [line.split(":")[0] for line in outcome.errors] == ["JWKS_REFRESH", "rules.yml"]


def test_one_mistake_about_scopes_file_is_said_once(command: Command) -> None:
    """The setting is read twice and complained of once."""
    outcome = command("check", SCOPES_FILE_FILE="absent")
    assert outcome.code == 1
    assert len(outcome.errors) == 1
    assert outcome.errors[0].startswith("SCOPES_FILE_FILE: ")


def test_warnings_do_not_fail(command: Command) -> None:
    """What works but is hardly meant is a warning, and exit 0."""
    command.write("scopes.yml", "a/b:\n  - server: x\n    methods: ['*']\n    tools: [all]\n")
    outcome = command("check", SECRET_KEY=None)
    assert outcome.code == 0
    assert any(line.startswith("warning: SECRET_KEY: ") for line in outcome.errors)
    assert any(line.startswith("warning: scopes.yml:4: all is a literal name") for line in outcome.errors)
    assert all(line.startswith("warning: ") for line in outcome.errors)


def test_a_setting_that_is_gone_is_a_warning(command: Command) -> None:
    """A .env from before says DECISION_TTL; it starts all the same."""
    command.write(".env", "DECISION_TTL=5\n")
    outcome = command("check")
    assert outcome.code == 0
    assert outcome.errors == [
        "warning: DECISION_TTL: is not read any more: each call is judged anew; remove it"
    ]


def test_a_pool_without_accepted_clients_is_told(command: Command) -> None:
    """Settings that would refuse every token say so."""
    outcome = command("check", COGNITO_CLIENT_ID=None, COGNITO_ALLOWED_CLIENT_IDS=None)
    assert outcome.code == 0
    assert "no token is accepted" in outcome.out


def test_every_client_of_the_pool_is_said_in_words(command: Command) -> None:
    """`*` is not shown as if it were a name."""
    assert "every client of the pool" in command("check", COGNITO_ALLOWED_CLIENT_IDS="*").out


def test_json_has_mistakes_and_warnings(command: Command) -> None:
    """For programs the same, as one JSON object on standard output."""
    outcome = command("check", "--json", JWKS_REFRESH="5s", SECRET_KEY=None)
    answer = json.loads(outcome.out)
    assert (outcome.code, outcome.err, answer["ok"]) == (1, "", False)
    assert [mistake["place"] for mistake in answer["mistakes"]] == ["JWKS_REFRESH"]
    good = json.loads(command("check", "--json", SECRET_KEY=None).out)
    assert good["ok"]
    assert good["mistakes"] == []
    assert [warning["place"] for warning in good["warnings"]] == ["SECRET_KEY"]
    assert good["servers"] == ["currenttime", "fininfo", "*"]


def test_an_unreadable_dotenv_is_a_mistake(command: Command) -> None:
    """A .env that is no text ends in one line."""
    (command.folder / ".env").write_bytes(b"A=\xff\xfe\n")
    outcome = command("check")
    assert outcome.code == 1
    assert outcome.errors == [".env: cannot be read as UTF-8 text; check its permissions and encoding"]


def test_dotenv_is_read(command: Command) -> None:
    """What .env says counts as if it were in the environment."""
    command.write(".env", "JWKS_REFRESH=soon\n")
    assert command("check").errors[0].startswith("JWKS_REFRESH: ")


def test_the_process_exits_with_1_and_one_line(command: Command) -> None:
    """As a process: no traceback, exit 1."""
    done = command.process("check", JWKS_REFRESH="5s")
    assert (done.returncode, done.stdout) == (1, "")
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == ["JWKS_REFRESH"]


def test_the_store_is_named(command: Command) -> None:
    """`check` says where revocations are kept and how far that reaches; it makes no file itself."""
    outcome = command("check")
    assert f"sqlite {command.folder}/state/revocations.sqlite, for this machine alone" in outcome.out
    assert not (command.folder / "state").exists()
    outcome = command("check", REVOCATION_URL="redis://:pass-word@valkey:6379/3")
    assert "redis valkey:6379/3, for every machine" in outcome.out
    assert "pass-word" not in outcome.out
