"""Headers that were read once are not believed for longer than what they stood on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from support.cognito import AGENT, CLIENT, NOW, POOL, jwks, mint
from support.sidecar import GATEWAY_URL, SCOPES, SECRET_KEY

from auth_server.config.settings import Settings
from auth_server.contract import VALIDATE
from auth_server.headers import Headers
from auth_server.identity.identify import Identifier
from auth_server.identity.jwks import usable_keys
from auth_server.identity.keys import Keys
from auth_server.identity.tokens import Tokens
from auth_server.policy.watcher import PolicyFile
from auth_server.validate import validate
from auth_server.validate.validate import Validator

if TYPE_CHECKING:
    from pathlib import Path

    from auth_server.validate.responses import Answer

BODY = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"now"}}'


class Asked:
    """A validator that is asked for one call, again and again, with headers that differ, as a connection asks it."""

    def __init__(self, folder: Path) -> None:
        (folder / "scopes.yml").write_text(SCOPES)
        settings = Settings(
            pools=(POOL,),
            allowed_client_ids=frozenset({CLIENT, AGENT}),
            secret_keys=(SECRET_KEY,),
            scopes_file=folder / "scopes.yml",
            gateway_url=GATEWAY_URL,
        )
        policy_file = PolicyFile(settings.scopes_file)
        policy_file.load_first()
        self.keys = Keys(settings.pools)
        self.publish("access", "id")
        self.validator = Validator(
            settings, Identifier(settings, Tokens(settings, self.keys), None), policy_file
        )

    def publish(self, *names: str) -> None:
        """Let the pool's set hold these keys."""
        self.keys._sets[0]._succeeded(usable_keys(jwks(*names))[0], [])

    def ask(self, now: float = NOW, listener: str = "", **changes: str) -> Answer:
        """Ask with the usual headers, these in their place or beside them."""
        usual = {
            "host": "gw.example",
            "authorization": f"Bearer {mint()}",
            "content-type": "application/json",
        }
        usual |= {"x-mcp-server": "time", "x-original-method": "POST", "x-original-uri": "/time/mcp"}
        sent = usual | {name.replace("_", "-"): value for name, value in changes.items()}
        raw = [(name.encode(), value.encode()) for name, value in sent.items()]
        return asyncio.run(self._answer(raw, now, listener))

    async def _answer(self, raw: list[tuple[bytes, bytes]], now: float, listener: str) -> Answer:
        caller = self.validator.caller_at_once(raw, now=now, listener=listener)
        caller = caller or await self.validator.caller(raw, now=now, listener=listener)
        return self.validator.answer(VALIDATE, caller, BODY, now=now)


@pytest.fixture
def asked(tmp_path: Path) -> Asked:
    return Asked(tmp_path)


def code(answer: Answer) -> str:
    return dict(answer.headers)[b"x-auth-error"].decode()


def test_headers_that_were_read_end_with_their_token(asked: Asked) -> None:
    """The same headers are refused once their token is over, or its key has left the pool's set."""
    token = f"Bearer {mint()}"
    assert asked.ask(authorization=token).status == 200
    assert code(asked.ask(NOW + 3631, authorization=token)) == "TOKEN_EXPIRED"
    assert asked.ask(authorization=token).status == 200
    asked.publish("id")
    assert asked.ask(authorization=token).status != 200


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("host", "elsewhere.example", "REQUEST_INVALID"),
        ("origin", "https://elsewhere.example", "ORIGIN_MISMATCH"),
        ("x_original_uri", "/time//mcp", "REQUEST_INVALID"),
        ("x_mcp_server", "notes", "REQUEST_INVALID"),
        ("content_type", "text/plain", "REQUEST_INVALID"),
        ("x_user_pool_id", "us-east-1_Other0000", "INVALID_ISSUER"),
        ("mcp_name", "later", "HEADER_MISMATCH"),
        ("authorization", "Bearer x", "TOKEN_MALFORMED"),
        ("cookie", "mcp_gateway_session=a; mcp_gateway_session=b", "REQUEST_INVALID"),
    ],
)
def test_one_header_that_differs_is_read_anew(asked: Asked, name: str, value: str, error: str) -> None:
    """What was read before stands for these very headers, and for none that are nearly the same."""
    token = f"Bearer {mint()}"
    assert asked.ask(authorization=token).status == 200
    changed: dict[str, Any] = {"authorization": token, name: value}
    assert code(asked.ask(**changed)) == error
    assert asked.ask(authorization=token).status == 200


def test_what_differs_at_each_request_is_read_at_each(asked: Asked) -> None:
    """The length and the request's id change while all else stays, and are this request's own."""
    token = f"Bearer {mint()}"
    assert asked.ask(authorization=token, x_original_length=str(len(BODY)), x_request_id="1").status == 200
    cut = asked.ask(authorization=token, x_original_length="4000", x_request_id="2")
    assert code(cut) == "REQUEST_INVALID"
    assert b'"request_id":"2"' in cut.body


def test_a_digest_stands_for_names_values_and_order() -> None:
    """Two lists of headers that differ in anything that is read have different digests."""
    lists = [
        [(b"a", b"1"), (b"b", b"2")],
        [(b"b", b"2"), (b"a", b"1")],
        [(b"a", b"1"), (b"b", b"2"), (b"b", b"2")],
        [(b"a", b""), (b"1", b"b"), (b"", b"2")],
        [(b"a", b"12")],
    ]
    digests = {Headers(pairs).digest(without=frozenset()) for pairs in lists}
    assert len(digests) == len(lists)
    without = {Headers([*lists[0], (b"x", value)]).digest(without={b"x"}) for value in (b"1", b"2")}
    assert without == {Headers(lists[0]).digest(without=frozenset())}


def test_more_cookies_than_nginx_takes_from_an_answer_are_refused(asked: Asked) -> None:
    """They were allowed, nginx could not read the answer, and the client was told to try again (503)."""
    assert asked.ask(cookie="other=" + "a" * 16_000).status == 200
    assert code(asked.ask(cookie="other=" + "a" * 17_000)) == "REQUEST_INVALID"
    ours = "; ".join(f"mcp_gateway_sign_in_{number}={'a' * 100}" for number in range(200))
    assert asked.ask(cookie=ours).status == 200


def test_what_is_remembered_of_headers_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Headers that are never sent again push each other out."""
    monkeypatch.setattr(validate, "SENDERS_BYTES", 30_000)
    asked = Asked(tmp_path)
    token = f"Bearer {mint()}"
    for number in range(40):
        assert asked.ask(authorization=token, x_other=str(number)).status == 200
    assert 0 < len(asked.validator._senders) < 30


def test_headers_count_for_the_listener_that_took_them(asked: Asked) -> None:
    """A name of loopback is this gateway's on loopback alone, whoever asked so there before."""
    sent: dict[str, Any] = {"authorization": f"Bearer {mint()}", "host": "localhost"}
    assert asked.ask(listener="127.0.0.1", **sent).status == 200
    assert code(asked.ask(listener="192.0.2.7", **sent)) == "REQUEST_INVALID"
