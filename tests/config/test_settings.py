import os
import secrets
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import auth_server
from auth_server.config import values
from auth_server.config.settings import (
    PROCESS_KEY,
    SETTINGS,
    Setting,
    Settings,
    environment,
    share_process_key,
    some_settings,
)
from auth_server.errors import ConfigurationError, Mistake
from auth_server.model import Pool

POOL = "us-east-1_AbCdEfGhI"
OTHER = "eu-west-2_Xyz123"
GOOD_KEY = "8Kd0vXq2mZ5hT7wB1nRy4LsJ6pGcE9uA3fViQoWx"
AWS = "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_AbCdEfGhI"
NEW = "https://issuer-cognito-idp.us-east-1.amazonaws.com/us-east-1_AbCdEfGhI"


def read(**environ: str) -> Settings:
    """Read settings of a sound deployment with these changes."""
    base = {"COGNITO_USER_POOL_ID": POOL, "COGNITO_CLIENT_ID": "web", "SECRET_KEY": GOOD_KEY}
    return Settings.from_environ({name: value for name, value in (base | environ).items() if value != "-"})


def mistakes(**environ: str) -> list[str]:
    """Return what is wrong, as it is shown."""
    with pytest.raises(ConfigurationError) as caught:
        read(**environ)
    return [str(mistake) for mistake in caught.value.mistakes]


def mistake(**environ: str) -> str:
    """Return the only mistake."""
    (found,) = mistakes(**environ)
    return found


def warnings(**environ: str) -> list[str]:
    """Return what is warned of."""
    return [str(warning) for warning in read(**environ).warnings]


def test_the_defaults_are_those_of_the_contract() -> None:
    """A pool, an app client and a key are enough."""
    found = read()
    assert found.pools == (Pool(POOL, "us-east-1", (AWS, NEW), f"{AWS}/.well-known/jwks.json"),)
    assert found == Settings(
        pools=found.pools,
        client_id="web",
        client_secret="",
        allowed_client_ids=frozenset({"web"}),
        token_uses=frozenset({"access", "id"}),
        domain="",
        secret_keys=(GOOD_KEY,),
        session_max_age=28800,
        session_refresh=None,
        scopes_file=Path("scopes.yml"),
        gateway_url="http://localhost:8080",
        allowed_hosts=(),
        max_body_size=4 * 1024 * 1024,
        revocation_url="",
        filter_lists=True,
        stream_max_age=None,
        log_format="",
        log_level="info",
        jwks_refresh=300,
        jwks_max_stale=86400,
        max_auth_age=None,
        max_token_length=16384,
    )
    assert found.warnings == ()


def test_settings_made_by_hand_have_the_same_defaults() -> None:
    """Where a program makes them itself, what it does not say is as in an empty environment."""
    found = Settings.from_environ({"COGNITO_USER_POOL_ID": POOL})
    assert Settings(found.pools) == found


def test_the_table_gives_the_defaults_that_are_used() -> None:
    """What the table says is what an empty environment gets: a value, or a word for what has none."""
    words = {"required", "required for sign-in", "required where sessions are used", "none", "never"}
    words |= {
        "the credential's life",
        "the pool's prefix",
        "from the pool's discovery document",
        "both forms that AWS documents",
    }
    words |= {"the issuer's /.well-known/jwks.json", "sqlite in the state folder", "json outside a terminal"}
    values = {row.name: row.default for row in SETTINGS if row.default not in words}
    assert len(values) == 10
    for name, default in values.items():
        assert read(**{name: default}) == read(), name


def test_the_table_names_every_setting_that_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting is read that the table does not name, and none is named that is not read."""
    asked: set[str] = set()

    class Noting(dict[str, str]):
        def get(self, name: str, default: Any = None) -> Any:
            asked.add(name)
            return super().get(name, default)

    Settings.from_environ(Noting({"COGNITO_USER_POOL_ID": POOL}))
    names = {row.name for row in SETTINGS}
    assert len(names) == len(SETTINGS)
    state_folder = {"STATE_DIRECTORY", "XDG_STATE_HOME", "HOME"}
    assert asked == names | {f"{name}_FILE" for name in names} | state_folder | {PROCESS_KEY}


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({"HOME": "/home/u"}, "sqlite:///home/u/.local/state/mcp-auth-server/revocations.sqlite"),
        (
            {"HOME": "/home/u", "XDG_STATE_HOME": "/var/x y"},
            "sqlite:///var/x%20y/mcp-auth-server/revocations.sqlite",
        ),
        (
            {"HOME": "/home/u", "XDG_STATE_HOME": "/x", "STATE_DIRECTORY": "/var/lib/a:/var/lib/b"},
            "sqlite:///var/lib/a/revocations.sqlite",
        ),
        (
            {"HOME": "/home/u", "XDG_STATE_HOME": "not/absolute"},
            "sqlite:///home/u/.local/state/mcp-auth-server/revocations.sqlite",
        ),
        ({"HOME": "/home/u", "REVOCATION_URL": "redis://valkey"}, "redis://valkey"),
        ({}, ""),
    ],
)
def test_the_state_folder(environ: dict[str, str], url: str) -> None:
    """Revocations are kept where systemd says, else in the user's own folder for state."""
    assert read(**environ).revocation_url == url


def test_what_seals_sessions() -> None:
    """SECRET_KEY's keys; without it, a key of this run, another each time."""
    assert read().session_keys == (GOOD_KEY,)
    found = [read(SECRET_KEY="-", COGNITO_CLIENT_ID="-", COGNITO_ALLOWED_CLIENT_IDS="a") for _ in range(2)]
    assert found[0].session_keys != found[1].session_keys
    assert len(found[0].session_keys[0]) == 64


def test_processes_of_one_run_share_what_seals_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Through the environment, and only where SECRET_KEY is not set."""
    monkeypatch.setattr(os, "environ", {})
    share_process_key(read())
    assert os.environ == {}
    alone = Settings.from_environ({"COGNITO_USER_POOL_ID": POOL})
    share_process_key(alone)
    again = Settings.from_environ(dict(os.environ) | {"COGNITO_USER_POOL_ID": POOL})
    assert again.session_keys == alone.session_keys


def test_secrets_do_not_show_in_representations() -> None:
    """repr() of the settings may reach a log."""
    shown = repr(read(COGNITO_CLIENT_SECRET="hush-hush", REVOCATION_URL="redis://:pass-word@cache:6379/0"))
    assert not any(secret in shown for secret in (GOOD_KEY, "hush-hush", "pass-word"))


def test_every_mistake_is_told_at_once() -> None:
    """One answer holds all that is wrong."""
    found = mistakes(
        COGNITO_USER_POOL_ID="-",
        SECRET_KEY="short",
        SESSION_MAX_AGE="8h",
        GATEWAY_URL="gateway",
        LOG_LEVEL="loud",
        COGNITO_TOKEN_USE="refresh",
        SCOPES_FILE_FILE="/no/such/file",
    )
    assert sorted(line.partition(":")[0] for line in found) == [
        "COGNITO_TOKEN_USE",
        "COGNITO_USER_POOL_ID",
        "GATEWAY_URL",
        "LOG_LEVEL",
        "SCOPES_FILE_FILE",
        "SECRET_KEY",
        "SESSION_MAX_AGE",
    ]


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"COGNITO_USER_POOL_ID": "-"}, "COGNITO_USER_POOL_ID: is not set; give the pool's id, such as"),
        ({"COGNITO_USER_POOL_ID": " "}, "COGNITO_USER_POOL_ID: is not set"),
        ({"COGNITO_USER_POOL_ID": "nonsense"}, "COGNITO_USER_POOL_ID: nonsense is no user pool id; expected"),
        ({"COGNITO_USER_POOL_ID": "us-east-1_é"}, "COGNITO_USER_POOL_ID: us-east-1_é is no user pool id"),
        ({"COGNITO_USER_POOL_ID": "us-east-1_a/b"}, "COGNITO_USER_POOL_ID: us-east-1_a/b is no user pool id"),
        ({"COGNITO_USER_POOL_ID": f"us-east-1_{'a' * 46}"}, "COGNITO_USER_POOL_ID: us-east-1_aaaa"),
        ({"COGNITO_USER_POOL_ID": f"{POOL},"}, "COGNITO_USER_POOL_ID: a list by comma with an empty element"),
        (
            {"COGNITO_USER_POOL_ID": f"{POOL}, {POOL}"},
            "COGNITO_USER_POOL_ID: a list by comma with an element that",
        ),
        ({"COGNITO_USER_POOL_ID": "local_abc"}, "COGNITO_USER_POOL_ID: local in local_abc is no AWS region"),
        (
            {"AWS_REGION": "eu-west-1"},
            f"AWS_REGION: is eu-west-1, but the pool {POOL} is in us-east-1; correct",
        ),
        ({"AWS_REGION": "us east"}, "AWS_REGION: us east is no AWS region; expected one such as us-east-1"),
        ({"COGNITO_CLIENT_ID": "a,b"}, "COGNITO_CLIENT_ID: expected one app client; put further ones into"),
        ({"COGNITO_CLIENT_ID": "a b"}, "COGNITO_CLIENT_ID: a b is no app client id; copy it from"),
        ({"COGNITO_CLIENT_SECRET": "a b"}, "COGNITO_CLIENT_SECRET: holds spaces, line breaks or"),
        ({"COGNITO_ALLOWED_CLIENT_IDS": "a,*"}, "COGNITO_ALLOWED_CLIENT_IDS: * stands for every client"),
        ({"COGNITO_ALLOWED_CLIENT_IDS": "a,,b"}, "COGNITO_ALLOWED_CLIENT_IDS: a list by comma with an empty"),
        ({"COGNITO_TOKEN_USE": "access,refresh"}, "COGNITO_TOKEN_USE: expected access or id, found refresh"),
        ({"COGNITO_DOMAIN": "-bad-"}, "COGNITO_DOMAIN: expected the hosted UI's prefix or its URL"),
        (
            {"COGNITO_DOMAIN": "https://auth.example.com/login"},
            "COGNITO_DOMAIN: expected scheme, host and port alone",
        ),
        (
            {"COGNITO_ISSUER": "ftp://x"},
            "COGNITO_ISSUER: expected a URL that starts with https:// or http://",
        ),
        ({"COGNITO_JWKS_URL": "https://a/x,https://b/y"}, "COGNITO_JWKS_URL: more than one URL for a pool"),
        ({"SECRET_KEY": ""}, "SECRET_KEY: is set but empty; make one with: openssl rand -hex 32, or remove"),
        ({"GATEWAY_URL": "https://a.example/path"}, "GATEWAY_URL: expected scheme, host and port alone"),
        (
            {"GATEWAY_URL": "https://a.example", "REGISTRY_URL": "https://b.example"},
            "GATEWAY_URL: is https://a.example, but REGISTRY_URL is https://b.example; remove REGISTRY_URL",
        ),
        ({"ALLOWED_HOSTS": "https://a.example"}, "ALLOWED_HOSTS: expected host or host:port"),
        (
            {"SESSION_MAX_AGE": "8h"},
            "SESSION_MAX_AGE: expected a whole number from 1 to 31536000, without a unit",
        ),
        ({"SESSION_MAX_AGE": "0"}, "SESSION_MAX_AGE: expected 1 to 31536000, found 0"),
        ({"JWKS_REFRESH": "-1"}, "JWKS_REFRESH: expected a whole number"),
        ({"JWKS_REFRESH": "\N{ARABIC-INDIC DIGIT FIVE}"}, "JWKS_REFRESH: expected a whole number"),
        ({"JWKS_REFRESH": "9" * 5000}, "JWKS_REFRESH: expected a whole number"),
        ({"JWKS_REFRESH": "86401"}, "JWKS_REFRESH: expected 1 to 86400, found 86401"),
        ({"MAX_AUTH_AGE": "0"}, "MAX_AUTH_AGE: expected 1 to"),
        ({"MAX_TOKEN_LENGTH": "5"}, "MAX_TOKEN_LENGTH: expected 1024 to 65536, found 5"),
        ({"REVOCATION_URL": "mysql://x"}, "REVOCATION_URL: expected sqlite:///path or redis://host:port/0"),
        ({"LOG_FORMAT": "xml"}, "LOG_FORMAT: expected json or console, found xml"),
        (
            {"LOG_LEVEL": "loud\n"},
            "LOG_LEVEL: expected debug or info or warning or error or critical, found loud",
        ),
    ],
)
def test_a_mistake_names_the_setting_and_the_remedy(environ: dict[str, str], expected: str) -> None:
    """What is wrong is said by the setting's name with what was expected."""
    assert mistake(**environ).startswith(expected)


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("SESSION_MAX_AGE", 1, 31_536_000),
        ("SESSION_REFRESH", 1, 31_536_000),
        ("MAX_AUTH_AGE", 1, 31_536_000),
        ("JWKS_REFRESH", 1, 86_400),
        ("JWKS_MAX_STALE", 0, 31_536_000),
        ("MAX_TOKEN_LENGTH", 1024, 65_536),
    ],
)
def test_a_number_has_bounds(name: str, low: int, high: int) -> None:
    """Both bounds are taken, and nothing beyond them."""
    for value in (low, high):
        assert getattr(read(**{name: str(value)}), name.lower()) == value
    assert mistake(**{name: str(high + 1)}) == f"{name}: expected {low} to {high}, found {high + 1}"
    if low:
        assert mistake(**{name: str(low - 1)}) == f"{name}: expected {low} to {high}, found {low - 1}"


def test_an_empty_value_is_not_given() -> None:
    """Compose files pass variables on that nobody set."""
    assert read(JWKS_REFRESH="", COGNITO_DOMAIN=" ", COGNITO_ALLOWED_CLIENT_IDS="") == read()


def test_values_are_read() -> None:
    """Each setting arrives where it belongs."""
    found = read(
        AWS_REGION="us-east-1",
        COGNITO_CLIENT_SECRET="s+/=",
        COGNITO_TOKEN_USE="access",
        SESSION_MAX_AGE="60",
        SCOPES_FILE="/etc/scopes.yml",
        MAX_BODY_SIZE="512k",
        REVOCATION_URL="sqlite:////var/lib/x.db",
        LOG_FORMAT="JSON",
        LOG_LEVEL="DEBUG",
        JWKS_REFRESH="1",
        JWKS_MAX_STALE="0",
        MAX_AUTH_AGE="3600",
        MAX_TOKEN_LENGTH="4096",
    )
    assert (found.client_secret, found.token_uses, found.session_max_age) == (
        "s+/=",
        frozenset({"access"}),
        60,
    )
    assert (found.scopes_file, found.max_body_size) == (Path("/etc/scopes.yml"), 512 * 1024)
    assert (found.revocation_url, found.log_format) == ("sqlite:////var/lib/x.db", "json")
    assert (found.log_level, found.jwks_refresh, found.jwks_max_stale) == ("debug", 1, 0)
    assert (found.max_auth_age, found.max_token_length) == (3600, 4096)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1024", 1024),
        ("1k", 1024),
        ("512k", 524_288),
        ("4m", 4_194_304),
        ("4M", 4_194_304),
        ("64m", 67_108_864),
    ],
)
def test_a_size_is_written_as_nginx_does(text: str, size: int) -> None:
    """Bytes, or 1024 or 1024² of them."""
    assert read(MAX_BODY_SIZE=text).max_body_size == size


@pytest.mark.parametrize(
    "text", ["0", "1023", "65m", "64.5m", "4 m", "4mb", "4g", "m", "-1", "+1k", "0x400", "9" * 5000, "٤m"]
)
def test_what_is_no_size(text: str) -> None:
    """Too small for any message, too large to be judged in memory, or written otherwise."""
    assert mistake(MAX_BODY_SIZE=text) == "MAX_BODY_SIZE: expected a size from 1k to 64m, such as 512k or 4m"


@pytest.mark.parametrize("name", ["DECISION_TTL", "DECISION_TTL_FILE"])
def test_a_setting_that_is_gone_is_told(name: str) -> None:
    """Whatever it says counts no more, and nobody is left to believe that it does."""
    told = ["DECISION_TTL: is not read any more: each call is judged anew; remove it"]
    assert warnings(**{name: "nonsense"}) == told


def test_china_has_a_domain_of_its_own() -> None:
    """AWS in China ends in .cn."""
    (pool,) = read(COGNITO_USER_POOL_ID="cn-north-1_Abc").pools
    assert pool.issuers[0] == "https://cognito-idp.cn-north-1.amazonaws.com.cn/cn-north-1_Abc"


def test_several_pools_are_trusted_each_with_its_issuers() -> None:
    """Every pool has its region, its issuers and its keys."""
    one, two = read(COGNITO_USER_POOL_ID=f"{POOL}, {OTHER}").pools
    assert one.issuers == (AWS, NEW)
    assert (two.id, two.region) == (OTHER, "eu-west-2")
    assert two.jwks_url == f"https://cognito-idp.eu-west-2.amazonaws.com/{OTHER}/.well-known/jwks.json"
    assert mistakes(COGNITO_USER_POOL_ID=f"{POOL},{OTHER}", AWS_REGION="us-east-1") == [
        f"AWS_REGION: is us-east-1, but the pool {OTHER} is in eu-west-2; correct or remove it"
    ]


def test_an_issuer_override_brings_its_keys() -> None:
    """A stand-in's issuer alone is enough; a pool may have several."""
    (pool,) = read(COGNITO_ISSUER="http://127.0.0.1:9000/{pool}/,https://b.example/{region}").pools
    assert pool.issuers == (f"http://127.0.0.1:9000/{POOL}/", "https://b.example/us-east-1")
    assert pool.jwks_url == f"http://127.0.0.1:9000/{POOL}/.well-known/jwks.json"
    assert (
        read(COGNITO_USER_POOL_ID="local_abc", COGNITO_ISSUER="http://localhost/x").pools[0].region == "local"
    )


def test_a_keys_override_leaves_the_issuers() -> None:
    """COGNITO_JWKS_URL may point anywhere; the issuers stay Cognito's."""
    (pool,) = read(COGNITO_JWKS_URL="http://localhost:9000/jwks.json").pools
    assert pool == Pool(POOL, "us-east-1", (AWS, NEW), "http://localhost:9000/jwks.json")


def test_overrides_for_several_pools() -> None:
    """Either a template, or exactly one for each in their order."""
    pools = {"COGNITO_USER_POOL_ID": f"{POOL},{OTHER}"}
    one, two = read(**pools, COGNITO_ISSUER="https://a.example,https://b.example").pools
    assert (one.issuers, two.issuers) == (("https://a.example",), ("https://b.example",))
    one, two = read(
        **pools, COGNITO_ISSUER="https://a.example/{pool}", COGNITO_JWKS_URL="https://k.example/{pool}"
    ).pools
    assert two == Pool(OTHER, "eu-west-2", (f"https://a.example/{OTHER}",), f"https://k.example/{OTHER}")
    for text in ("https://a.example", "https://a,https://b,https://c", "https://a/{pool},https://b"):
        assert " for 2 pools; give one for each, in their order" in mistake(**pools, COGNITO_ISSUER=text)
    clash = mistake(
        COGNITO_USER_POOL_ID="local_a,local_b", COGNITO_ISSUER="https://a/local_b,https://a/{region}_b"
    )
    assert "names one issuer for two pools" in clash


def test_a_bad_issuer_is_not_told_twice() -> None:
    """A stand-in's pool needs no AWS region just because its issuer has a mistake."""
    assert mistake(COGNITO_USER_POOL_ID="local_abc", COGNITO_ISSUER="nonsense").startswith("COGNITO_ISSUER")


def test_keys_in_clear_text_are_warned_of() -> None:
    """Over http from another machine, whoever is between can forge tokens."""
    (found,) = warnings(COGNITO_JWKS_URL="http://cognito:9000/jwks.json")
    assert found.startswith("COGNITO_JWKS_URL: keys come in clear text from http://cognito:9000/jwks.json")
    (found,) = warnings(COGNITO_ISSUER="http://cognito:9000")
    assert found.startswith("COGNITO_ISSUER: keys come in clear text")
    for loopback in ("http://127.8.9.1:9000", "http://[::1]:9000", "http://a.localhost"):
        assert warnings(COGNITO_ISSUER=loopback) == []


def test_the_app_clients_whose_tokens_count() -> None:
    """The signing-in client always counts; `*` is every client; none is none."""
    assert read(COGNITO_ALLOWED_CLIENT_IDS="agent, bot").allowed_client_ids == frozenset(
        {"web", "agent", "bot"}
    )
    assert read(COGNITO_ALLOWED_CLIENT_IDS="*").allowed_client_ids is None
    assert read(COGNITO_ALLOWED_CLIENT_IDS="bot", COGNITO_CLIENT_ID="-").allowed_client_ids == frozenset(
        {"bot"}
    )


def test_without_an_app_client_no_token_counts() -> None:
    """That loads, and is warned of."""
    environ = {"COGNITO_CLIENT_ID": "-"}
    assert read(**environ).allowed_client_ids == frozenset()
    (found,) = warnings(**environ)
    assert found.startswith("COGNITO_CLIENT_ID: is not set: no token will be accepted")
    assert warnings(**environ, COGNITO_ALLOWED_CLIENT_IDS="*") == []


def test_sign_in_without_a_key_is_warned_of() -> None:
    """Tokens alone need no key; a client that signs users in does."""
    (found,) = warnings(SECRET_KEY="-")
    assert found.startswith("SECRET_KEY: is not set: tokens count, but nobody can sign in")
    assert read(SECRET_KEY="-").secret_keys == ()
    assert warnings(SECRET_KEY="-", COGNITO_CLIENT_ID="-", COGNITO_ALLOWED_CLIENT_IDS="a") == []


def test_sessions_that_nobody_can_begin_are_warned_of() -> None:
    """Groups are looked at again for those who signed in, and here nobody can."""
    without = {"COGNITO_CLIENT_ID": "-", "COGNITO_ALLOWED_CLIENT_IDS": "a", "SESSION_REFRESH": "300"}
    (found,) = warnings(**without)
    assert found.startswith("SESSION_REFRESH: is set, but nobody can sign in: that takes COGNITO_CLIENT_ID")
    assert warnings(SESSION_REFRESH="300") == []


def test_a_secret_without_its_client_is_warned_of() -> None:
    """It would not be used."""
    found = warnings(COGNITO_CLIENT_ID="-", COGNITO_ALLOWED_CLIENT_IDS="a", COGNITO_CLIENT_SECRET="x")
    assert found == ["COGNITO_CLIENT_SECRET: is given without COGNITO_CLIENT_ID and not used"]


def test_a_setting_misspelt_is_warned_of() -> None:
    """What looks like ours is pointed out; other COGNITO_ variables are somebody else's."""
    assert warnings(COGNITO_CLIENT_IDS="x", COGNITO_ENABLED="true", COGNITO_CLIENT_SECRET_FIEL="y") == [
        "COGNITO_CLIENT_IDS: is no setting and not read; did you mean COGNITO_CLIENT_ID?",
        "COGNITO_CLIENT_SECRET_FIEL: is no setting and not read; did you mean COGNITO_CLIENT_SECRET_FILE?",
    ]


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("tooshort", "shorter than 32 bytes"),
        ("x" * 31, "shorter than 32 bytes"),
        ("9f1c04e7b35a8d62c0e4f7712ab95d38", "hex of fewer than 64 digits"),
        ("x" * 64, "too regular"),
        ("changeme" * 5, "a placeholder"),
        ("please-Change_Me-0123456789-qwertz-!", "a placeholder"),
        ("your-very-own-secret-key-of-64-characters-goes-here", "a placeholder"),
        ("xyzxyzxy" * 5, "too regular"),
        ("0123456789abcdef" * 4, "too regular"),
        ("abcdefghijklmnopqrstuvwxyz0123456789", "too regular"),
        (GOOD_KEY[:15] * 3, "too regular"),
        ("", "shorter than 32 bytes"),
    ],
)
def test_a_weak_key_is_refused_without_being_shown(key: str, why: str) -> None:
    """The reason and the remedy are told; the key is not."""
    found = mistake(SECRET_KEY=f"{GOOD_KEY},{key}")
    assert found.startswith(f"SECRET_KEY: key 2 of 2 is too weak: {why}")
    assert found.endswith("make one with: openssl rand -hex 32")
    assert not key or key not in found
    if key:
        assert mistake(SECRET_KEY=key).startswith(f"SECRET_KEY: is too weak: {why}")


def test_several_keys_are_kept_in_order() -> None:
    """The first signs, all verify."""
    second = secrets.token_hex(32)
    assert read(SECRET_KEY=f"{GOOD_KEY}, {second}").secret_keys == (GOOD_KEY, second)


@pytest.mark.parametrize(
    "make",
    [lambda: secrets.token_hex(32), lambda: secrets.token_urlsafe(32), lambda: secrets.token_urlsafe(24)],
    ids=["hex 32", "base64 32", "base64 24"],
)
def test_random_keys_are_strong_enough(make: Any) -> None:
    """What generators make is accepted."""
    for _ in range(300):
        values.check_secret(make())


def test_a_setting_may_come_from_a_file(tmp_path: Path) -> None:
    """NAME_FILE names a mounted secret; its trailing newline is no part of it."""
    file = tmp_path / "key"
    file.write_text(f"{GOOD_KEY}\n")
    assert read(SECRET_KEY="-", SECRET_KEY_FILE=str(file)).secret_keys == (GOOD_KEY,)
    assert read(SECRET_KEY="", SECRET_KEY_FILE=str(file)).secret_keys == (GOOD_KEY,)
    (tmp_path / "seconds").write_text("7\r\n")
    assert read(JWKS_REFRESH_FILE=str(tmp_path / "seconds")).jwks_refresh == 7


def test_a_setting_given_twice_is_refused(tmp_path: Path) -> None:
    """NAME and NAME_FILE: nobody could tell which counts."""
    found = mistake(SECRET_KEY_FILE=str(tmp_path / "unread"))
    assert found == "SECRET_KEY: both SECRET_KEY and SECRET_KEY_FILE are given; keep one"
    found = mistake(COGNITO_USER_POOL_ID_FILE="x")
    assert found.startswith("COGNITO_USER_POOL_ID: both")


def test_a_file_that_gives_nothing_is_refused(tmp_path: Path) -> None:
    """Absent, empty or not text: the file is told by its setting, never by what stands there."""
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    for name, problem in (("none", "No such file"), ("empty", "is empty"), ("binary", "not UTF-8 text")):
        found = mistake(SECRET_KEY="-", SECRET_KEY_FILE=str(tmp_path / name))
        assert found.startswith("SECRET_KEY_FILE: the file it names ")
        assert problem in found
    assert GOOD_KEY not in mistake(SECRET_KEY="-", SECRET_KEY_FILE=GOOD_KEY)


def test_files_are_read_by_whoever_is_asked() -> None:
    """The way to read files is an argument."""
    found = Settings.from_environ(
        {"COGNITO_USER_POOL_ID_FILE": "/run/secrets/pool"},
        read_file=lambda path: POOL if path == Path("/run/secrets/pool") else "",
    )
    assert found.pools[0].id == POOL


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("https://Gateway.Example.com/", "https://gateway.example.com"),
        ("https://gateway.example.com:443", "https://gateway.example.com"),
        ("http://localhost:80", "http://localhost"),
        ("http://127.0.0.1:9999", "http://127.0.0.1:9999"),
        ("http://[::1]:8080/", "http://[::1]:8080"),
    ],
)
def test_the_gateways_url_is_an_origin(given: str, expected: str) -> None:
    """Stored as browsers write an Origin."""
    assert read(GATEWAY_URL=given).gateway_url == expected
    assert read(REGISTRY_URL=given).gateway_url == expected
    assert read(REGISTRY_URL=given, GATEWAY_URL=expected).gateway_url == expected


@pytest.mark.parametrize(
    "url",
    [
        "gateway.example.com",
        "//gateway.example.com",
        "https://",
        "https://:8080",
        "https://user@a.example",
        "https://a.example?x",
        "https://a.example#x",
        "https://a.example#",
        "https://a.example:0",
        "https://a.example:99999",
        "https://a.example:",
        "https://a.example:x",
        "https://a_b..example-",
        "https://[::1",
        "https://[::g]",
        "https://a b",
        "https://a\\b",
        "https://bücher.example",
        "javascript:alert(1)",
        "file:///etc/passwd",
    ],
)
def test_what_is_no_origin_is_refused(url: str) -> None:
    """Absolute, http or https, without user, query or fragment."""
    assert mistake(GATEWAY_URL=url).startswith("GATEWAY_URL: ")


def test_a_public_gateway_without_tls_is_warned_of() -> None:
    """Cookies and tokens would travel in clear text."""
    (found,) = warnings(GATEWAY_URL="http://gateway.example.com")
    assert found.startswith("GATEWAY_URL: is http")
    (found,) = warnings(COGNITO_DOMAIN="http://auth.example.com")
    assert found.startswith("COGNITO_DOMAIN: is http")


@pytest.mark.parametrize(
    ("pool", "given", "expected"),
    [
        (POOL, "https://auth.example.com/", "https://auth.example.com"),
        (POOL, "auth.example.com", "https://auth.example.com"),
        (POOL, "my-app", "https://my-app.auth.us-east-1.amazoncognito.com"),
        ("us-gov-west-1_a", "my-app", "https://my-app.auth-fips.us-gov-west-1.amazoncognito.com"),
        ("cn-north-1_a", "my-app", "https://my-app.auth.cn-north-1.amazoncognito.com.cn"),
    ],
)
def test_the_hosted_ui_may_be_a_prefix_or_a_url(pool: str, given: str, expected: str) -> None:
    """A prefix stands for Cognito's own domain."""
    assert read(COGNITO_USER_POOL_ID=pool, COGNITO_DOMAIN=given).domain == expected


def test_a_hosted_ui_without_a_pool_is_no_second_mistake() -> None:
    """Only the pool is missing."""
    assert mistake(COGNITO_USER_POOL_ID="-", COGNITO_DOMAIN="my-app").startswith("COGNITO_USER_POOL_ID")


def test_allowed_hosts_are_lower_case() -> None:
    """Host headers are compared without case; a port belongs to it."""
    hosts = read(ALLOWED_HOSTS="A.example:8443, b.example,[::1]:80,10.0.0.1").allowed_hosts
    assert hosts == ("a.example:8443", "b.example", "[::1]:80", "10.0.0.1")


@pytest.mark.parametrize(
    "host", ["*", "a/b", "a:b", "a:0", "a:70000", "::1", "[::g]", "[::1]x", ".a", "a b", "a:"]
)
def test_what_is_no_host_is_refused(host: str) -> None:
    """No wildcards, no URLs."""
    assert mistake(ALLOWED_HOSTS=host).startswith("ALLOWED_HOSTS: ")


@given(st.dictionaries(st.sampled_from([row.name for row in SETTINGS]), st.text(max_size=30), max_size=6))
def test_no_value_makes_reading_fail_otherwise(environ: dict[str, str]) -> None:
    """Whatever the environment holds, the answer is settings or a list of mistakes on one line each."""
    found: tuple[Mistake, ...] = ()
    try:
        Settings.from_environ(environ)
    except ConfigurationError as error:
        found = error.mistakes
    assert all("\n" not in str(mistake) for mistake in found)


def test_the_environment_lies_over_dotenv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real environment wins, also where it gives the same setting by its other name."""
    dotenv = tmp_path / ".env"
    dotenv.write_text(
        "export GATEWAY_URL=https://a.example # public\n"
        "LOG_LEVEL=debug\n"
        "SECRET_KEY='from dotenv $HOME ${HOME}'\n"
        "JWKS_REFRESH_FILE=/x\n"
        "NO_VALUE\n"
        "OTHER_FILE=/y\n",
    )
    for name in list(os.environ):
        monkeypatch.delenv(name)
    for name, value in {
        "LOG_LEVEL": "error",
        "SECRET_KEY_FILE": "/z",
        "JWKS_REFRESH": "1",
        "OTHER": "2",
    }.items():
        monkeypatch.setenv(name, value)
    assert environment(dotenv) == {
        "GATEWAY_URL": "https://a.example",
        "LOG_LEVEL": "error",
        "SECRET_KEY_FILE": "/z",
        "JWKS_REFRESH": "1",
        "OTHER": "2",
        "OTHER_FILE": "/y",
    }
    monkeypatch.delenv("SECRET_KEY_FILE")
    assert environment(dotenv)["SECRET_KEY"] == "from dotenv $HOME ${HOME}"


def test_without_dotenv_there_is_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file is no mistake; the answer is a copy."""
    monkeypatch.setenv("GATEWAY_URL", "https://b.example")
    found = environment(tmp_path / "none")
    assert found == dict(os.environ)
    found["GATEWAY_URL"] = "changed"
    assert os.environ["GATEWAY_URL"] == "https://b.example"


def test_dotenv_is_that_of_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody names another file, it is `.env` here."""
    (tmp_path / ".env").write_text("GATEWAY_URL=https://c.example\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GATEWAY_URL", raising=False)
    assert environment()["GATEWAY_URL"] == "https://c.example"


@pytest.mark.parametrize("content", [b"A=\xff\n", None])
def test_a_dotenv_that_cannot_be_read_is_told(tmp_path: Path, content: bytes | None) -> None:
    """What is no text, or cannot be read at all, is a mistake and not a traceback."""
    dotenv = Path("/proc/self/mem")  # a file, and reading it fails, whoever asks
    if content is not None:
        dotenv = tmp_path / ".env"
        dotenv.write_bytes(content)
    with pytest.raises(ConfigurationError, match="cannot be read as UTF-8 text"):
        environment(dotenv)


def test_some_settings_alone() -> None:
    """Commands read what they need: mistakes in all else do not matter, and the pool is not asked for."""
    environ = {"LOG_LEVEL": "loud", "COGNITO_USER_POOL_ID": "-", "SCOPES_FILE": "/a", "HOME": "/home/u"}
    found = some_settings(environ, "SCOPES_FILE")
    assert found.scopes_file == Path("/a")
    assert found.revocation_url.startswith("sqlite:///home/u/")
    assert found.pools[0].id == "us-east-1_NotAsked0"
    assert some_settings({"COGNITO_USER_POOL_ID": POOL}, "COGNITO_USER_POOL_ID").pools[0].id == POOL
    with pytest.raises(ConfigurationError, match="LOG_LEVEL"):
        some_settings(environ, "LOG_LEVEL")
    for name in ("SCOPES_FILE", "COGNITO_USER_POOL_ID"):
        with pytest.raises(ConfigurationError, match=f"{name}_FILE"):
            some_settings({f"{name}_FILE": "/no/such"}, name)


def test_only_one_place_reads_the_environment() -> None:
    """Everything else takes a mapping; the demo's own programs are told secrets there, and are no part of it."""
    package = Path(auth_server.__file__).parent
    readers = [
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if package / "demo" not in path.parents
        and ("os.environ" in path.read_text() or "getenv" in path.read_text())
    ]
    assert readers == ["config/settings.py"]


UNTOLD = {
    "none",
    "never",
    "the credential's life",
    "required",
    "required for sign-in",
    "required where sessions are used",
    "the pool's prefix",
    "from the pool's discovery document",
    "both forms that AWS documents",
    "the issuer's /.well-known/jwks.json",
    "sqlite in the state folder",
    "json outside a terminal",
}


@pytest.mark.parametrize("setting", [each for each in SETTINGS if each.default not in UNTOLD], ids=str)
def test_the_default_that_is_told_is_the_one_in_force(setting: Setting) -> None:
    """What the table says of a setting that is not given is what it is then."""
    pool = {"COGNITO_USER_POOL_ID": "us-east-1_AbCdEfGhI"}
    assert Settings.from_environ(pool | {setting.name: setting.default}) == Settings.from_environ(pool)
