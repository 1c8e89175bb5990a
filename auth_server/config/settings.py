"""Settings: read once from the environment, every mistake in one answer."""

from __future__ import annotations

import difflib
import os
import re
import secrets
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from dotenv import dotenv_values

from auth_server.config import values
from auth_server.config.pools import read_pools
from auth_server.config.variables import FILE, Variables
from auth_server.errors import ConfigurationError, Mistake

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from auth_server.model import Pool


class Setting(NamedTuple):
    """One row of the table of settings; the README and .env.example are checked against it."""

    name: str
    meaning: str
    default: str


SETTINGS = (
    Setting(
        "COGNITO_USER_POOL_ID", "the trusted pool, or several by comma; the region is its prefix", "required"
    ),
    Setting("AWS_REGION", "must agree with the prefix of every pool, if given", "the pool's prefix"),
    Setting("COGNITO_CLIENT_ID", "the app client that signs users in", "required for sign-in"),
    Setting("COGNITO_CLIENT_SECRET", "its secret; none for a public client", "none"),
    Setting(
        "COGNITO_ALLOWED_CLIENT_IDS",
        "further app clients whose tokens count, by comma; `*` = every client of the pool",
        "none",
    ),
    Setting("COGNITO_TOKEN_USE", "kinds of token that count, by comma", "access,id"),
    Setting("COGNITO_DOMAIN", "hosted-UI prefix or full URL", "from the pool's discovery document"),
    Setting(
        "COGNITO_ISSUER",
        "the issuers a token may name, for a stand-in or a mirror; `{pool}` and `{region}` are filled in, "
        "else for several pools one each, in their order",
        "both forms that AWS documents",
    ),
    Setting(
        "COGNITO_JWKS_URL",
        "where the pool's keys are; for several pools as COGNITO_ISSUER",
        "the issuer's /.well-known/jwks.json",
    ),
    Setting(
        "SECRET_KEY",
        "signs cookies: at least 32 random bytes (`openssl rand -hex 32`); "
        "several by comma, the first signs, all verify",
        "required where sessions are used",
    ),
    Setting("SESSION_MAX_AGE", "seconds that a session lasts", "28800"),
    Setting(
        "SESSION_REFRESH",
        "seconds after which the groups of a session are checked again at Cognito",
        "never",
    ),
    Setting("SCOPES_FILE", "who may call what", "scopes.yml"),
    Setting("GATEWAY_URL", "the public URL: redirects, Origin check, metadata", "http://localhost:8080"),
    Setting("REGISTRY_URL", "read where GATEWAY_URL is not given", "none"),
    Setting("ALLOWED_HOSTS", "further Host values, by comma", "none"),
    Setting("MAX_BODY_SIZE", "bytes of a message; `k` and `m` stand for 1024 and 1024² of them", "4m"),
    Setting(
        "REVOCATION_URL",
        "`sqlite:///path` (one machine) or `redis://…` (several)",
        "sqlite in the state folder",
    ),
    Setting("FILTER_LISTS", "`on`: lists show what the caller may call; `off`: all that there is", "on"),
    Setting("STREAM_MAX_AGE", "seconds that an event stream stays open", "the credential's life"),
    Setting("LOG_FORMAT", "`json` or `console`", "json outside a terminal"),
    Setting("LOG_LEVEL", "`debug`, `info`, `warning`, `error` or `critical`", "info"),
    Setting("JWKS_REFRESH", "seconds between fetches of the pool's keys", "300"),
    Setting("JWKS_MAX_STALE", "seconds that known keys outlive an outage of the pool", "86400"),
    Setting(
        "MAX_AUTH_AGE",
        "seconds since a user's sign-in (auth_time) after which a token no longer counts",
        "none",
    ),
    Setting("MAX_TOKEN_LENGTH", "characters of a token; a longer one is refused unread", "16384"),
)
_NAMES = frozenset(setting.name for setting in SETTINGS)
# Not a setting: what the processes of one `gateway` or `serve` share where SECRET_KEY is not set.
PROCESS_KEY = "AUTH_SERVER_PROCESS_KEY"
# Not ours to document: systemd and the XDG Base Directory Specification say what they are.
_STATE = ("STATE_DIRECTORY", "XDG_STATE_HOME", "HOME")

_CLIENT_ID = re.compile(r"[\w+.:-]{1,128}", re.ASCII)
_DOMAIN_PREFIX = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_REVOCATION_URL = re.compile(r"sqlite:///[!-~]+|rediss?://[!-~]+")
_TOKEN_USES = ("access", "id")
_SWITCH = ("on", "off")
_LOG_FORMATS = ("json", "console")
_LOG_LEVELS = ("debug", "info", "warning", "error", "critical")
_MAKE_A_KEY = "make one with: openssl rand -hex 32"
_YEAR = 31_536_000
_GONE = {"DECISION_TTL": "is not read any more: each call is judged anew; remove it"}
_ANY_POOL = "us-east-1_NotAsked0"


def _read_text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Settings:
    """What the deployment decides. `warnings` are settings that work, but hardly as intended."""

    pools: tuple[Pool, ...]
    client_id: str = ""
    client_secret: str = field(default="", repr=False)
    allowed_client_ids: frozenset[str] | None = frozenset()
    token_uses: frozenset[str] = frozenset(_TOKEN_USES)
    domain: str = ""
    secret_keys: tuple[str, ...] = field(default=(), repr=False)
    session_max_age: int = 28_800
    session_refresh: int | None = None
    scopes_file: Path = Path("scopes.yml")
    gateway_url: str = "http://localhost:8080"
    allowed_hosts: tuple[str, ...] = ()
    max_body_size: int = 4 * 1024 * 1024
    revocation_url: str = field(default="", repr=False)
    filter_lists: bool = True
    stream_max_age: int | None = None
    log_format: str = ""
    log_level: str = "info"
    jwks_refresh: int = 300
    jwks_max_stale: int = 86_400
    max_auth_age: int | None = None
    max_token_length: int = 16_384
    process_key: str = field(default_factory=lambda: secrets.token_hex(32), repr=False, compare=False)
    warnings: tuple[Mistake, ...] = field(default=(), compare=False)

    @classmethod
    def from_environ(
        cls,
        environ: Mapping[str, str],
        *,
        read_file: Callable[[Path], str] = _read_text,
    ) -> Settings:
        """Read every setting; raises ConfigurationError with all that is wrong, never with a secret in it."""
        variables = Variables(environ, read_file)
        default: dict[str, Any] = {each.name: each.default for each in fields(cls)}
        client_id = variables.value("COGNITO_CLIENT_ID", _one_client, "")
        secret_keys = _secret_keys(variables)
        pools = read_pools(variables)
        settings = cls(
            pools=pools,
            client_id=client_id,
            client_secret=variables.value("COGNITO_CLIENT_SECRET", _visible, ""),
            allowed_client_ids=_allowed_clients(variables, client_id),
            token_uses=variables.value("COGNITO_TOKEN_USE", _token_uses, default["token_uses"]),
            domain=variables.value("COGNITO_DOMAIN", lambda text: _domain(text, pools), ""),
            secret_keys=secret_keys,
            session_max_age=variables.integer("SESSION_MAX_AGE", default["session_max_age"], 1, _YEAR),
            session_refresh=variables.value(
                "SESSION_REFRESH", lambda text: values.integer(text, 1, _YEAR), None
            ),
            scopes_file=variables.value("SCOPES_FILE", Path, default["scopes_file"]),
            gateway_url=_gateway_url(variables) or default["gateway_url"],
            allowed_hosts=variables.value("ALLOWED_HOSTS", _hosts, ()),
            max_body_size=variables.value("MAX_BODY_SIZE", values.size, default["max_body_size"]),
            revocation_url=variables.value("REVOCATION_URL", _revocation_url, _default_store(environ)),
            filter_lists=variables.choice("FILTER_LISTS", "on", _SWITCH) == "on",
            stream_max_age=variables.value(
                "STREAM_MAX_AGE", lambda text: values.integer(text, 1, _YEAR), None
            ),
            log_format=variables.choice("LOG_FORMAT", "", _LOG_FORMATS),
            log_level=variables.choice("LOG_LEVEL", default["log_level"], _LOG_LEVELS),
            jwks_refresh=variables.integer("JWKS_REFRESH", default["jwks_refresh"], 1, 86_400),
            jwks_max_stale=variables.integer("JWKS_MAX_STALE", default["jwks_max_stale"], 0, _YEAR),
            max_auth_age=variables.value("MAX_AUTH_AGE", lambda text: values.integer(text, 1, _YEAR), None),
            max_token_length=variables.integer("MAX_TOKEN_LENGTH", default["max_token_length"], 1024, 65_536),
            process_key=environ.get(PROCESS_KEY) or secrets.token_hex(32),
        )
        if variables.mistakes:
            raise ConfigurationError(variables.mistakes)
        return replace(
            settings, warnings=(*variables.warnings, *_doubts(settings), *_typos(environ), *_gone(environ))
        )

    @property
    def session_keys(self) -> tuple[str, ...]:
        """Return the keys that seal the sessions of MCP servers: SECRET_KEY's, else one of this run alone."""
        return self.secret_keys or (self.process_key,)


def environment(dotenv: Path = Path(".env")) -> dict[str, str]:
    """Return the process's environment, with the entries of `.env` under it.

    This is the one place that reads os.environ. Raises ConfigurationError where `.env` cannot be read.
    """
    try:
        lower = dotenv_values(dotenv, interpolate=False) if dotenv.is_file() else {}
    except (OSError, UnicodeDecodeError):
        mistake = Mistake(str(dotenv), "cannot be read as UTF-8 text; check its permissions and encoding")
        raise ConfigurationError([mistake]) from None
    upper = dict(os.environ)
    # NAME in one and NAME_FILE in the other are the same setting, and the real environment wins.
    return {
        name: value
        for name, value in lower.items()
        if value is not None and upper.keys().isdisjoint(_names_of_same_setting(name))
    } | upper


def share_process_key(settings: Settings) -> None:
    """Let the processes that this one starts seal and open the same sessions where SECRET_KEY is not set."""
    if not settings.secret_keys:
        os.environ[PROCESS_KEY] = settings.process_key


def some_settings(environ: Mapping[str, str], *names: str) -> Settings:
    """Return the settings of these names alone, so that mistakes in others do not matter.

    Raises ConfigurationError for mistakes in these. A pool is put in where none is asked for.
    """
    asked = (*names, *_STATE)
    kept = {key: environ[key] for name in asked for key in (name, name + FILE) if key in environ}
    if not {"COGNITO_USER_POOL_ID", "COGNITO_USER_POOL_ID_FILE"} & kept.keys():
        kept["COGNITO_USER_POOL_ID"] = _ANY_POOL
    return Settings.from_environ(kept)


def _one_client(text: str) -> str:
    if "," in text:
        raise ValueError("expected one app client; put further ones into COGNITO_ALLOWED_CLIENT_IDS")
    return _client(text)


def _client(text: str) -> str:
    if not _CLIENT_ID.fullmatch(text):
        raise ValueError(
            f"{values.shown(text)} is no app client id; copy it from the pool's list of app clients"
        )
    return text


def _allowed_clients(variables: Variables, client_id: str) -> frozenset[str] | None:
    none: frozenset[str] | None = frozenset()
    further = variables.value("COGNITO_ALLOWED_CLIENT_IDS", _clients, none)
    if further is None:
        return None
    return further | {client_id} if client_id else further


def _clients(text: str) -> frozenset[str] | None:
    if text == "*":
        return None
    given = values.items(text)
    if "*" in given:
        raise ValueError("* stands for every client of the pool; give it alone, or list clients")
    return frozenset(map(_client, given))


def _visible(text: str) -> str:
    if not re.fullmatch(r"[!-~]+", text):
        raise ValueError(
            "holds spaces, line breaks or characters outside ASCII; copy it again from the app client"
        )
    return text


def _token_uses(text: str) -> frozenset[str]:
    return frozenset(values.choice(use, _TOKEN_USES) for use in values.items(text))


def _domain(text: str, pools: tuple[Pool, ...]) -> str:
    """Return the hosted UI's origin; a prefix stands for Cognito's own domain in the first pool's region."""
    if "://" in text:
        return values.origin(text)
    if "." in text:
        return values.origin(f"https://{text}")
    if not _DOMAIN_PREFIX.fullmatch(text):
        raise ValueError("expected the hosted UI's prefix or its URL, such as https://auth.example.com")
    region = pools[0].region if pools else ""
    label = "auth-fips" if region.startswith("us-gov-") else "auth"
    suffix = "amazoncognito.com.cn" if region.startswith("cn-") else "amazoncognito.com"
    return f"https://{text}.{label}.{region}.{suffix}"


def _secret_keys(variables: Variables) -> tuple[str, ...]:
    text = variables.text("SECRET_KEY")
    if text is None:
        if variables.is_set("SECRET_KEY") and not variables.is_set("SECRET_KEY" + FILE):
            variables.mistake("SECRET_KEY", f"is set but empty; {_MAKE_A_KEY}, or remove the setting")
        return ()
    keys = tuple(key.strip() for key in text.split(","))
    for number, key in enumerate(keys, start=1):
        which = f"key {number} of {len(keys)} " if len(keys) > 1 else ""
        try:
            values.check_secret(key)
        except ValueError as error:
            variables.mistake("SECRET_KEY", f"{which}is too weak: {error}; {_MAKE_A_KEY}")
    return keys


def _gateway_url(variables: Variables) -> str:
    given = [variables.value(name, values.origin, "") for name in ("GATEWAY_URL", "REGISTRY_URL")]
    if all(given) and given[0] != given[1]:
        variables.mistake(
            "GATEWAY_URL", f"is {given[0]}, but REGISTRY_URL is {given[1]}; remove REGISTRY_URL"
        )
    return given[0] or given[1]


def _hosts(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(map(values.host, values.items(text))))


def _revocation_url(text: str) -> str:
    if not _REVOCATION_URL.fullmatch(text):
        raise ValueError("expected sqlite:///path or redis://host:port/0")
    return text


def _default_store(environ: Mapping[str, str]) -> str:
    """Return the URL of the SQLite file in the state folder; empty where there is no such folder.

    The folder is the one that systemd made (StateDirectory=), else one in the user's own.
    """
    given = {name: environ.get(name, "") for name in _STATE}
    folders = (
        Path(given["STATE_DIRECTORY"].partition(":")[0]),
        Path(given["XDG_STATE_HOME"], "mcp-auth-server"),
        Path(given["HOME"], ".local/state/mcp-auth-server"),
    )
    folder = next((folder for folder in folders if folder.is_absolute()), None)
    return f"sqlite://{quote(str(folder))}/revocations.sqlite" if folder else ""


def _doubts(settings: Settings) -> list[Mistake]:
    """Return what is allowed, but leaves out something that was probably wanted."""
    doubts = []
    if settings.client_id and not settings.secret_keys:
        message = f"is not set: tokens count, but nobody can sign in or use a session cookie; {_MAKE_A_KEY}"
        doubts.append(Mistake("SECRET_KEY", message))
    if settings.client_secret and not settings.client_id:
        doubts.append(Mistake("COGNITO_CLIENT_SECRET", "is given without COGNITO_CLIENT_ID and not used"))
    if settings.session_refresh is not None and not (settings.client_id and settings.secret_keys):
        message = "is set, but nobody can sign in: that takes COGNITO_CLIENT_ID and SECRET_KEY"
        doubts.append(Mistake("SESSION_REFRESH", message))
    if settings.allowed_client_ids is not None and not settings.allowed_client_ids:
        message = "is not set: no token will be accepted; name your app clients in COGNITO_ALLOWED_CLIENT_IDS"
        doubts.append(Mistake("COGNITO_CLIENT_ID", message))
    if values.is_exposed(settings.gateway_url):
        message = "is http on another machine than this: cookies and tokens travel in clear text; use https"
        doubts.append(Mistake("GATEWAY_URL", message))
    if values.is_exposed(settings.domain):
        doubts.append(Mistake("COGNITO_DOMAIN", "is http: sign-in travels in clear text; use https"))
    return doubts


def _typos(environ: Mapping[str, str]) -> list[Mistake]:
    """Return variables that look like ours misspelt. Others' COGNITO_ variables are none of our business."""
    known = [*_NAMES, *(name + FILE for name in _NAMES)]
    strangers = sorted(name for name in environ if name.startswith("COGNITO_") and name not in known)
    close = ((name, difflib.get_close_matches(name, known, n=1, cutoff=0.85)) for name in strangers)
    return [
        Mistake(name, f"is no setting and not read; did you mean {match[0]}?")
        for name, match in close
        if match
    ]


def _gone(environ: Mapping[str, str]) -> list[Mistake]:
    """Return settings of earlier versions that nobody reads any more."""
    return [Mistake(name, said) for name, said in _GONE.items() if {name, name + FILE} & environ.keys()]


def _names_of_same_setting(name: str) -> set[str]:
    base = name if name in _NAMES else name.removesuffix(FILE)
    return {base, base + FILE} if base in _NAMES else {name}
