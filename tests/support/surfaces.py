"""Every place where a stranger's bytes come in, as a function of those bytes; hypothesis and atheris call them.

Each asks the real validator and fails where an exception escapes, where the answer is none of the contract's, or
where it lets somebody through whom the oracle denies or takes for somebody else. It returns whether it did.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

import yaml

from auth_server.config.settings import Settings
from auth_server.errors import ConfigurationError, ErrorCode
from auth_server.identity import session_cookie
from auth_server.identity.jwks import usable_keys
from auth_server.identity.keys import Keys
from auth_server.model import AuthMethod, Identity, Kind, Name, Target
from auth_server.policy import grants, scopes_file
from auth_server.policy.decision import Allowed
from auth_server.policy.watcher import PolicyFile
from auth_server.validate.validate import Validator
from support import cognito, oracle
from support.sidecar import SCOPES, SECRET_KEY

if TYPE_CHECKING:
    from collections.abc import Callable

CLIENTS = frozenset({cognito.CLIENT, cognito.AGENT})
TYPES = {401: {"AuthenticationError"}, 403: {"AuthorizationError", "RequestError"}}
NOW = int(time.time())


@cache
def validator() -> Validator:
    """Return a validator that has its keys and its policy."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "scopes.yml"
        file.write_text(SCOPES)
        policy_file = PolicyFile(file)
        policy_file.load_first()
    keys = Keys((cognito.POOL,))
    keys._sets[0]._succeeded(usable_keys(cognito.jwks())[0], [])
    settings = Settings(pools=(cognito.POOL,), allowed_client_ids=CLIENTS, secret_keys=(SECRET_KEY,))
    return Validator(settings, keys, policy_file, None)


@cache
def world() -> oracle.World:
    """Return what the oracle knows of the same gateway."""
    public = {key.kid: key.private.public_key() for key in map(cognito.key, ("access", "id"))}
    return oracle.World(cognito.POOL.issuers, CLIENTS, public, SECRET_KEY, SCOPES)


@cache
def good_token() -> bytes:
    """Return an agent's token that is good for an hour."""
    return cognito.mint("agent", now=NOW).encode()


@cache
def good_cookie() -> bytes:
    """Return the cookie of somebody whose group may call what is on `notes`."""
    session = session_cookie.Session("ada", ("readers",), "sid-1")
    return session_cookie.mint(session, [SECRET_KEY], now=NOW).encode()


@cache
def loop() -> asyncio.AbstractEventLoop:
    """Return the one event loop; nothing here waits."""
    return asyncio.new_event_loop()


def ask(**headers: bytes) -> bool:
    """Ask for a granted call, with these headers in place of the usual ones."""
    usual = {"x_mcp_server": b"time", "x_original_method": b"POST", "mcp_method": b"tools/call"}
    given = usual | {"mcp_name": b"now"} | headers
    pairs = [(name.replace("_", "-").encode(), value) for name, value in given.items()]
    now = time.time()
    answer = loop().run_until_complete(validator().answer(pairs, now=now))
    expected = oracle.allowed(world(), pairs, now) if answer.status == 200 else None
    found = {name.decode(): value.decode("ascii") for name, value in answer.headers}
    if answer.status == 200:
        assert expected is not None, "let through, and the oracle denies it"
        assert found["x-client-id"] == expected.client
        assert unquote(found["x-user"], errors="surrogatepass") == expected.username
        return True
    body = json.loads(answer.body)
    assert body["error"]["type"] in TYPES[answer.status], answer
    assert found["x-auth-error"] == body["error"]["details"]["error_code"]
    assert ErrorCode(found["x-auth-error"])
    return False


def header(data: bytes) -> bool:
    """A token with this JOSE header, properly signed."""
    return ask(
        authorization=b"Bearer " + cognito.token(cognito.claims("agent", now=NOW), header=data).encode()
    )


def claims(data: bytes) -> bool:
    """A token with this payload, properly signed."""
    return ask(authorization=b"Bearer " + cognito.token(data).encode())


def token(data: bytes) -> bool:
    """This as token."""
    return ask(authorization=b"Bearer " + data)


def authorization(data: bytes) -> bool:
    """This as Authorization, beside a cookie that is good."""
    return ask(authorization=data, cookie=b"mcp_gateway_session=" + good_cookie(), x_mcp_server=b"notes")


def cookie(data: bytes) -> bool:
    """This as session cookie."""
    return ask(cookie=b"mcp_gateway_session=" + data, x_mcp_server=b"notes")


def cookies(data: bytes) -> bool:
    """This as Cookie header."""
    return ask(cookie=data, x_mcp_server=b"notes")


def name(data: bytes) -> bool:
    """This as Mcp-Name."""
    return ask(authorization=b"Bearer " + good_token(), mcp_name=data)


def targets(data: bytes) -> bool:
    """This as X-Mcp-Targets."""
    return ask(authorization=b"Bearer " + good_token(), x_mcp_targets=data)


def policy_file(data: bytes) -> bool:
    """This as scopes.yml: whatever loads grants no more than the file says."""
    try:
        text = data.decode()
        loaded = scopes_file.parse(text)
    except (UnicodeDecodeError, ConfigurationError):
        return False
    plain = yaml.load(text, yaml.CSafeLoader)  # libyaml, as the gateway; the other parser refuses more
    granted = False
    for held, server, tool in [("mcp/read", "time", "now"), ("mcp/run", "time", "evil"), ("", "notes", "x")]:
        groups = () if held else ("readers",)
        identity = Identity(AuthMethod.JWT, NOW, "uma", scopes=(held,) if held else (), groups=groups)
        target = Target(server, "tools/call", (Name(Kind.TOOLS, tool),))
        decision = grants.decide(loaded, loaded.effective_scopes(identity), target)
        if isinstance(decision, Allowed):
            caller = oracle.Caller("uma", "", identity.scopes, groups)
            assert oracle.may(plain, caller, server, "tools/call", {"tools": {tool}}), (held, server, tool)
            granted = True
    return granted


def seeds() -> dict[str, tuple[Callable[[bytes], bool], list[bytes]]]:
    """Return each surface with what is let through there: the start of every search."""
    jose = json.dumps({"kid": cognito.key().kid, "alg": "RS256"}).encode()
    payloads = [json.dumps(cognito.claims("agent", now=NOW)).encode()]
    payloads.append(json.dumps(cognito.claims("access", {"scope": "mcp/read"}, now=NOW)).encode())
    return {
        "header": (header, [jose]),
        "claims": (claims, payloads),
        "token": (token, [good_token()]),
        "cookie": (cookie, [good_cookie()]),
        "authorization": (
            authorization,
            [b"Bearer " + cognito.mint("id", {"cognito:groups": ["readers"]}, now=NOW).encode()],
        ),
        "cookies": (cookies, [b"a=b; mcp_gateway_session=" + good_cookie() + b"; c=d"]),
        "name": (name, [b"now", b"=?base64?bm93?="]),
        "targets": (targets, [b'["now"]', b'[{"tools":"now"}]', b'["now", "now"]']),
        "policy_file": (policy_file, [SCOPES.encode()]),
    }
