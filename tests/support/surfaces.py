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
from urllib.parse import unquote, urlsplit

import yaml

from auth_server.errors import ConfigurationError, ErrorCode
from auth_server.identity import session_cookie
from auth_server.model import AuthMethod, Identity, Kind, Name, Target
from auth_server.policy import grants, scopes_file
from auth_server.policy.decision import Allowed
from support import cognito, oracle
from support.door import compact, rpc
from support.offline import OfflineSidecar
from support.sidecar import SCOPES, SECRET_KEY, as_nginx_asks

if TYPE_CHECKING:
    from collections.abc import Callable

CLIENTS = frozenset({cognito.CLIENT, cognito.AGENT})
TYPES = {
    400: {"RequestError"},
    401: {"AuthenticationError"},
    403: {"AuthorizationError"},
    404: {"RequestError"},
    421: {"RequestError"},
}
CALL = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"now"}}'
MESSAGES = (
    rpc("ping"),
    rpc("tools/call", {"name": "get_x", "arguments": {"name": "evil", "deep": [{"a": None}, 1.5, "\ud800"]}}),
    rpc("completion/complete", {"ref": {"type": "ref/prompt", "name": "plan"}, "argument": {}}),
    rpc("subscriptions/listen", {"notifications": {"resourceSubscriptions": ["file:///docs/a"]}}),
)
NOW = int(time.time())


@cache
def sidecar() -> OfflineSidecar:
    """Return a sidecar that has its keys and its policy."""
    with tempfile.TemporaryDirectory() as folder:
        return OfflineSidecar(Path(folder))


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


def ask(message: bytes = CALL, **headers: bytes) -> bool:
    """Ask about this message, with these headers in place of the usual ones."""
    asked = as_nginx_asks(message, **{name: value.decode("latin-1") for name, value in headers.items()})
    now = time.time()
    answer = loop().run_until_complete(sidecar().answer(asked, now=now))
    found = {name.decode(): value.decode("latin-1") for name, value in answer.headers}
    if answer.status == 200:
        expected = oracle.allowed(world(), asked.headers, asked.body, now)
        assert expected is not None, "let through, and the oracle denies it"
        assert found["x-client-id"] == expected.client
        assert unquote(found["x-user"], errors="surrogatepass") == expected.username
        return True
    error = json.loads(answer.body)["error"]
    assert error["type"] in TYPES[int(found["x-auth-status"])], answer
    assert found["x-auth-error"] == error["details"]["error_code"]
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
    return ask(authorization=data, cookie=b"mcp_gateway_session=" + good_cookie(), server=b"notes")


def cookie(data: bytes) -> bool:
    """This as session cookie."""
    return ask(cookie=b"mcp_gateway_session=" + data, server=b"notes")


def cookies(data: bytes) -> bool:
    """This as Cookie header."""
    return ask(cookie=data, server=b"notes")


def agent(message: bytes = CALL, **headers: bytes) -> bool:
    """A good token, with this message and these headers."""
    return ask(message, authorization=b"Bearer " + good_token(), **headers)


def name(data: bytes) -> bool:
    """This as Mcp-Name."""
    return agent(mcp_name=data)


def path(data: bytes) -> bool:
    """This as request target: only MCP's own paths get in."""
    let_in = agent(x_original_uri=data)
    if let_in:
        target = data.decode("latin-1").strip(
            " \t"
        )  # blanks around are no part of a field's value (RFC 9110, 5.5)
        assert oracle.leads_to(target)[1] in {"mcp", "sse", "messages"}
    return let_in


def host(data: bytes) -> bool:
    """This as Host: only the gateway's own name gets in, with any port."""
    let_in = agent(host=data)
    if let_in:
        named = data.decode().strip(" \t")
        assert urlsplit(f"//{named}").hostname in {"gw.example", "gw.example."}
    return let_in


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
        "message": (agent, [CALL, *map(compact, MESSAGES)]),
        "name": (name, [b"now", b"=?base64?bm93?="]),
        "path": (path, [b"/time/mcp", b"/time/sse/", b"/time/mcp?a=b/../c", b"/time/messages/%41"]),
        "host": (host, [b"gw.example", b"GW.example.:8443"]),
        "policy_file": (policy_file, [SCOPES.encode()]),
    }
