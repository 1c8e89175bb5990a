"""What the sidecar remembers never outlives what it stood on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from support.cognito import AGENT, CLIENT, NOW, OTHER_POOL, POOL, jwks, key, mint
from support.sidecar import SCOPES, SECRET_KEY

from auth_server.config.settings import Settings
from auth_server.identity import session_cookie
from auth_server.identity.jwks import usable_keys
from auth_server.identity.keys import Keys
from auth_server.policy.watcher import PolicyFile
from auth_server.validate import validate
from auth_server.validate.validate import Validator

if TYPE_CHECKING:
    from pathlib import Path

    from auth_server.validate.responses import Answer


class Door:
    """A validator with keys and policy at hand, asked without a socket and at any time."""

    def __init__(self, folder: Path, **changes: int) -> None:
        self.scopes_file = folder / "scopes.yml"
        self.scopes_file.write_text(SCOPES)
        settings = Settings(
            pools=(POOL,),
            allowed_client_ids=frozenset({CLIENT, AGENT}),
            secret_keys=(SECRET_KEY,),
            scopes_file=self.scopes_file,
            **changes,  # type: ignore[arg-type]  # whole numbers, all of them
        )
        self.policy_file = PolicyFile(self.scopes_file)
        self.policy_file.load_first()
        self.keys = Keys((POOL,))
        self.publish("access", "id")
        self.validator = Validator(settings, self.keys, self.policy_file, None)

    def publish(self, *names: str) -> None:
        """Let the pool's set hold these keys."""
        (key_set,) = self.keys._sets
        key_set._succeeded(usable_keys(jwks(*names))[0], [])

    def ask(
        self,
        now: float = NOW,
        *,
        server: str = "time",
        tool: str = "now",
        more: tuple[tuple[bytes, bytes], ...] = (),
        **credential: str,
    ) -> Answer:
        """Ask for tools/call of that tool."""
        headers = credential | {
            "x-mcp-server": server,
            "x-original-method": "POST",
            "mcp-method": "tools/call",
            "mcp-name": tool,
        }
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        return asyncio.run(self.validator.answer([*raw, *more], now=now))


def code(answer: Answer) -> str:
    return dict(answer.headers)[b"x-auth-error"].decode()


def told(answer: Answer, *names: str) -> list[str]:
    assert answer.status == 200
    return [dict(answer.headers)[name.encode()].decode() for name in names]


def max_age(answer: Answer) -> int:
    return int(dict(answer.headers)[b"cache-control"].removeprefix(b"max-age="))


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return Door(tmp_path)


def test_a_token_ends_in_memory_too(door: Door) -> None:
    """A remembered token is refused once it is over."""
    token = f"Bearer {mint()}"
    assert door.ask(authorization=token).status == 200
    assert door.ask(NOW + 3599, authorization=token).status == 200
    assert code(door.ask(NOW + 3631, authorization=token)) == "TOKEN_EXPIRED"


def test_a_session_ends_in_memory_too(door: Door) -> None:
    """A remembered cookie is refused once it is over."""
    cookie = session_cookie.mint(session_cookie.Session("ada", ("readers",), "sid"), [SECRET_KEY], now=NOW)
    cookies = {"cookie": f"mcp_gateway_session={cookie}", "server": "notes"}
    assert door.ask(**cookies).status == 200  # type: ignore[arg-type]
    assert code(door.ask(NOW + 28_801, **cookies)) == "SESSION_EXPIRED"  # type: ignore[arg-type]


def test_a_credential_counts_only_where_it_belongs(door: Door) -> None:
    """A token is no session and a session no token, also when either is remembered."""
    token = mint()
    session = session_cookie.mint(session_cookie.Session("ada", ("readers",), "sid"), [SECRET_KEY], now=NOW)
    assert door.ask(authorization=f"Bearer {token}").status == 200
    assert code(door.ask(cookie=f"mcp_gateway_session={token}")) == "SESSION_INVALID"
    assert door.ask(cookie=f"mcp_gateway_session={session}", server="notes").status == 200
    assert code(door.ask(authorization=f"Bearer {session}", server="notes")) == "TOKEN_MALFORMED"


def test_the_answer_shrinks_towards_the_end(door: Door) -> None:
    """max-age is never beyond the credential's life, also from memory."""
    token = f"Bearer {mint()}"
    ages = [max_age(door.ask(NOW + at, authorization=token)) for at in (0, 3594, 3596, 3598, 3599)]
    assert ages == [5, 5, 4, 2, 1]


def test_a_key_that_left_the_set_vouches_for_nothing(door: Door) -> None:
    """Tokens of a removed key are refused, those of a key that stayed are not."""
    agent, user = f"Bearer {mint()}", f"Bearer {mint('id')}"
    assert door.ask(authorization=agent).status == 200
    door.publish("id", "next")
    assert door.ask(authorization=agent).status != 200
    assert code(door.ask(authorization=user)) == "ACCESS_DENIED"


def test_another_key_under_the_same_kid(door: Door) -> None:
    """What counts is the key, not its name."""
    token = f"Bearer {mint()}"
    assert door.ask(authorization=token).status == 200
    impostor = key("other").jwk(kid=key("access").kid)
    (key_set,) = door.keys._sets
    key_set._succeeded(usable_keys({"keys": [impostor]})[0], [])
    assert code(door.ask(authorization=token)) == "INVALID_SIGNATURE"


def test_a_refresh_with_the_same_keys_changes_nothing(door: Door) -> None:
    """An unchanged key stays the same object, so that nothing is verified anew."""
    token = f"Bearer {mint()}"
    first = door.ask(authorization=token)
    door.publish("access", "id")
    assert door.ask(authorization=token) is first


def test_a_new_policy_is_asked_at_once(door: Door) -> None:
    """An answer under the old scopes.yml is never given under the new one."""
    token = f"Bearer {mint()}"
    assert door.ask(authorization=token).status == 200
    door.scopes_file.write_text("mcp/read: []\n")
    door.policy_file.load_first()
    assert door.ask(authorization=token).status == 403


def test_questions_are_told_apart(door: Door) -> None:
    """The same credential on another server is another question; so is another credential."""
    assert door.ask(authorization=f"Bearer {mint()}").status == 200
    assert door.ask(authorization=f"Bearer {mint()}", server="notes").status == 403
    assert door.ask(authorization=f"Bearer {mint('agent', {'scope': 'mcp/other'})}").status == 403
    assert door.ask().status == 401


def test_a_refusal_is_not_remembered(door: Door) -> None:
    """What was denied is judged anew: a grant that comes later counts at once."""
    token = f"Bearer {mint('agent', {'scope': 'late/comer'})}"
    assert door.ask(authorization=token).status == 403
    door.scopes_file.write_text(SCOPES.replace("mcp/run:", "late/comer:").replace("[convert,", "[now,"))
    door.policy_file.load_first()
    assert door.ask(authorization=token).status == 200


def test_sign_in_age_ends_the_memory(tmp_path: Path) -> None:
    """With MAX_AUTH_AGE a remembered token ends with its sign-in, not with its exp."""
    door = Door(tmp_path, max_auth_age=600)
    token = f"Bearer {mint()}"
    assert door.ask(authorization=token).status == 200
    assert code(door.ask(NOW + 640, authorization=token)) == "TOKEN_EXPIRED"


@pytest.mark.parametrize(
    ("audience", "server", "status"),
    [
        ("http://localhost:8080/time/mcp", "time", 200),
        ("http://localhost:8080/time", "time", 200),
        ("http://localhost:8080", "time", 200),
        ("http://localhost:8080/notes/mcp", "time", 401),
        ("http://localhost:8080/timetable", "time", 401),
        ("https://elsewhere.example/time/mcp", "time", 401),
    ],
)
def test_a_bound_token_is_held_to_its_server(door: Door, audience: str, server: str, status: int) -> None:
    """A token bound to one server's URL (RFC 8707) is no credential for another."""
    answer = door.ask(authorization=f"Bearer {mint('agent', {'aud': audience})}", server=server)
    assert answer.status == status
    if status == 401:
        assert code(answer) == "INVALID_AUDIENCE"


def test_pools_do_not_vouch_for_each_other() -> None:
    """A key that another pool holds is not this pool's."""
    keys = Keys((POOL, OTHER_POOL))
    first, second = keys._sets
    first._succeeded(usable_keys(jwks())[0], [])
    held = first.key(key("access").kid)
    assert keys.holds(POOL, key("access").kid, held)
    assert not keys.holds(OTHER_POOL, key("access").kid, held)
    assert not keys.holds(POOL, key("access").kid, None)
    assert second.key(key("access").kid) is None


def user(name: str, *groups: str, scope: str = "mcp/read") -> str:
    """Return the credential of a user with that name and those groups."""
    return f"Bearer {mint('access', {'username': name, 'scope': scope, 'cognito:groups': list(groups)})}"


def test_callers_with_the_same_rights_keep_their_names(door: Door) -> None:
    """What is remembered of a call says nothing of who made it."""
    for name in ("ada", "bob"):
        answer = door.ask(authorization=user(name))
        assert told(answer, "x-user", "x-username", "x-client-id") == [name, name, CLIENT]
    assert told(door.ask(authorization=f"Bearer {mint('agent', {'scope': 'mcp/read'})}"), "x-user") == [""]


def test_what_is_remembered_of_one_caller_permits_nothing_to_another(door: Door) -> None:
    """Callers who differ in scopes or in groups are each judged, and each told their own."""
    assert told(door.ask(authorization=user("ada")), "x-scopes", "x-groups") == ["mcp/read", ""]
    grouped = door.ask(authorization=user("ada", "readers"))
    assert told(grouped, "x-scopes", "x-groups") == ["mcp/read by-group", "readers"]
    assert code(door.ask(authorization=user("ada", scope="mcp/other"))) == "ACCESS_DENIED"
    assert code(door.ask(authorization=user("ada", "mcp/read", scope="openid"))) == "ACCESS_DENIED"


def test_a_new_policy_is_asked_for_new_callers_too(door: Door) -> None:
    """What the old scopes.yml permitted to callers with these rights, the new one is asked about."""
    assert door.ask(authorization=user("ada")).status == 200
    door.scopes_file.write_text("mcp/read: []\n")
    door.policy_file.load_first()
    assert code(door.ask(authorization=user("bob"))) == "SERVER_UNKNOWN"
    door.scopes_file.write_text(SCOPES)
    door.policy_file.load_first()
    assert door.ask(authorization=user("cyd")).status == 200


def test_a_bound_token_is_held_to_its_server_where_the_call_is_remembered(door: Door) -> None:
    """That others may make the call does not free a token from the server it is bound to."""
    assert door.ask(authorization=f"Bearer {mint()}").status == 200
    bound = mint("agent", {"aud": "http://localhost:8080/notes/mcp"})
    assert code(door.ask(authorization=f"Bearer {bound}")) == "INVALID_AUDIENCE"


def test_a_repeated_header_is_refused_where_the_call_is_remembered(door: Door) -> None:
    """A question with two readings is not taken for one of them."""
    for token in (mint(), mint("agent", {"jti": "another"})):
        assert door.ask(authorization=f"Bearer {token}").status == 200
        twice = door.ask(authorization=f"Bearer {token}", tool="evil", more=((b"mcp-name", b"now"),))
        assert code(twice) == "REQUEST_INVALID"


def test_a_repeated_header_that_decides_nothing(door: Door) -> None:
    """Such a question is answered and not remembered: its headers may have another reading."""
    twice = ((b"x-request-id", b"1"), (b"x-request-id", b"2"))
    answers = [door.ask(authorization=f"Bearer {mint()}", more=twice) for _ in range(2)]
    assert [answer.status for answer in answers] == [200, 200]
    assert len(door.validator._permits) == len(door.validator._answers) == 0


@pytest.mark.parametrize("long", [1, 1000])
def test_what_is_remembered_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, long: int) -> None:
    """Questions that are never asked again push each other out, the longer the sooner."""
    monkeypatch.setattr(validate, "PERMITS_BYTES", 30_000)
    monkeypatch.setattr(validate, "ANSWERS_BYTES", 30_000)
    door = Door(tmp_path)
    token = f"Bearer {mint()}"
    for number in range(40):
        assert door.ask(authorization=token, tool="get_" + str(number) * long).status == 200
    for kept in (door.validator._permits, door.validator._answers):
        assert 0 < len(kept) <= (30 if long == 1 else 10)


def test_the_tools_that_are_listed_are_those_of_the_policy_in_force(door: Door) -> None:
    """What is remembered of one policy, caller or server is told under no other."""
    agent = f"Bearer {mint('access', {'scope': 'mcp/read'})}"
    both = f"Bearer {mint('access', {'scope': 'mcp/read mcp/run'})}"

    def tools(token: str) -> str:
        return dict(door.ask(authorization=token).headers)[b"x-allowed-tools"].decode()

    assert [tools(agent), tools(both), tools(agent)] == ["now", "convert,get_*,now", "now"]
    door.scopes_file.write_text(SCOPES.replace("tools: [now]", "tools: [now, later]"))
    door.policy_file.load_first()
    assert [tools(agent), tools(both)] == ["later,now", "convert,get_*,later,now"]
