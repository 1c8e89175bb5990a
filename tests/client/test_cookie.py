"""The session cookie's file, and the auth plug-in that reads it."""

import asyncio
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send
from support.asgi_server import read_body, serving

from auth_server.client import SessionCookie, SessionCookieError
from auth_server.client.cookie import read_cookie, remove_cookie, save_cookie

OLD, NEW = "eyJ1c2VybmFtZSI6InVtYSJ9.aZ_1-x.old", "eyJ1c2VybmFtZSI6InVtYSJ9.aZ_1-x.new"


@dataclass
class Door:
    """A server that lets in whom `welcome` says, and keeps the Cookie headers that came."""

    base: str = ""
    welcome: Callable[[str], bool] = bool
    came: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 200 or 401, and set a cookie of its own."""
        body = await read_body(receive)
        who = "|".join(value.decode() for name, value in scope["headers"] if name == b"cookie")
        self.came.append(who)
        self.bodies.append(body)
        headers = [(b"set-cookie", b"affinity=3")]
        status = 200 if self.welcome(who) else 401
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b""})


@pytest.fixture
def door() -> Iterator[Door]:
    """Run a door."""
    found = Door()
    with serving(lambda _base: found) as found.base:
        yield found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a file with a cookie."""
    found = tmp_path / "mcp" / "session_cookie"
    save_cookie(found, OLD)
    return found


@pytest.fixture(params=["sync", "asyncio"])
def call(request: pytest.FixtureRequest, library: ModuleType) -> Callable[..., list[int]]:
    """Return what POSTs once for each argument with one client, and gives the statuses."""

    def sync(auth: Any, url: str, *bodies: bytes) -> list[int]:
        with library.Client(auth=auth, trust_env=False) as client:
            return [client.post(url, content=body).status_code for body in bodies]

    def asynchronous(auth: Any, url: str, *bodies: bytes) -> list[int]:
        async def post() -> list[int]:
            async with library.AsyncClient(auth=auth, trust_env=False) as client:
                return [(await client.post(url, content=body)).status_code for body in bodies]

        return asyncio.run(post())

    return sync if request.param == "sync" else asynchronous


def mode(path: Path) -> int:
    """Return the permissions."""
    return stat.S_IMODE(path.stat().st_mode)


def test_the_cookie_is_sent_beside_others(door: Door, path: Path, call: Callable[..., list[int]]) -> None:
    """The session cookie goes with each request, once, beside what the server itself has set."""
    assert call(SessionCookie(path), door.base, b"", b"") == [200, 200]
    assert door.came == [f"mcp_gateway_session={OLD}", f"affinity=3; mcp_gateway_session={OLD}"]


@pytest.mark.parametrize("name", ["mcp_gateway_session", "__Host-mcp_gateway_session"])
def test_another_session_cookie_gives_way(door: Door, path: Path, library: ModuleType, name: str) -> None:
    """Two session cookies would be refused: the file's replaces any that the client holds."""
    cookies = {"mine": "1", name: "other"}
    with library.Client(auth=SessionCookie(path), cookies=cookies, trust_env=False) as client:
        client.get(door.base)
    assert door.came == [f"mine=1; mcp_gateway_session={OLD}"]


def test_a_new_sign_in_is_taken_up(door: Door, path: Path, call: Callable[..., list[int]]) -> None:
    """After a 401 the file is read again, and the request sent again with the new cookie."""
    auth = SessionCookie(path)
    save_cookie(path, NEW)
    door.welcome = lambda who: NEW in who
    assert call(auth, door.base, b"the call", b"another") == [200, 200]
    assert door.bodies == [b"the call", b"the call", b"another"]


def test_a_401_is_handed_on(door: Door, path: Path, call: Callable[..., list[int]]) -> None:
    """Where nobody has signed in since, the 401 comes back and nothing is sent twice."""
    door.welcome = lambda _who: False
    auth = SessionCookie(path)
    assert call(auth, door.base, b"") == [401]
    remove_cookie(path)
    assert call(auth, door.base, b"") == [401]
    assert len(door.came) == 2


def test_the_cookie_is_in_no_text(path: Path) -> None:
    """Its repr says where the cookie comes from."""
    assert OLD not in repr(SessionCookie(path))
    assert str(path) in repr(SessionCookie(path))


def test_the_usual_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a path, it is ~/.mcp/session_cookie; its folder is made private when the cookie is written."""
    monkeypatch.setenv("HOME", str(tmp_path))
    usual = tmp_path / ".mcp" / "session_cookie"
    usual.parent.mkdir(mode=0o755)
    save_cookie(usual, OLD)
    assert SessionCookie().path == usual
    assert (mode(usual.parent), mode(usual)) == (0o700, 0o600)


def test_written_for_the_owner_alone(tmp_path: Path) -> None:
    """File 0600 and folder 0700 whatever the umask, over an open file too, and nothing else is left."""
    path = tmp_path / "a" / "cookie"
    before = os.umask(0)
    try:
        save_cookie(path, OLD)
        assert (mode(path), mode(path.parent)) == (0o600, 0o700)
        path.chmod(0o666)
        save_cookie(path, NEW)
    finally:
        os.umask(before)
    assert (mode(path), read_cookie(path)) == (0o600, NEW)
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_of_somebody_elses_choice_is_left_as_it_is(tmp_path: Path) -> None:
    """Only ~/.mcp is made private: another folder may be shared on purpose."""
    tmp_path.chmod(0o755)
    save_cookie(tmp_path / "cookie", OLD)
    assert mode(tmp_path) == 0o755


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    """What a link points to keeps its content."""
    target, link = tmp_path / "target", tmp_path / "cookie"
    target.write_text("mine")
    link.symlink_to(target)
    save_cookie(link, OLD)
    assert (target.read_text(), link.is_symlink(), read_cookie(link)) == ("mine", False, OLD)


def test_a_failure_leaves_the_old_cookie(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is written whole or not at all, and no part of the attempt stays."""

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SessionCookieError, match="No space left on device"):
        save_cookie(path, NEW)
    assert read_cookie(path) == OLD
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("open_mode", [0o640, 0o604, 0o660, 0o601, 0o644])
def test_a_file_that_others_can_read_is_refused(path: Path, open_mode: int) -> None:
    """Too open permissions are named with their remedy, and the cookie is not used."""
    path.chmod(open_mode)
    with pytest.raises(SessionCookieError, match=rf"mode {open_mode:04o}.*chmod 600") as caught:
        SessionCookie(path)
    assert OLD not in str(caught.value)
    assert read_cookie(path, even_if_open=True) == OLD


def test_nobody_is_signed_in(tmp_path: Path) -> None:
    """Without a file, the command that makes one is named."""
    with pytest.raises(SessionCookieError, match="run auth-server login"):
        SessionCookie(tmp_path / "none")


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"two words", b"a; b=c", b"a\r\nX: y", b"\xff\xfe", b"x" * 5000]
)
def test_a_file_without_a_cookie(path: Path, content: bytes) -> None:
    """What could not be a cookie's value is refused, and not shown."""
    path.write_bytes(content)
    with pytest.raises(SessionCookieError, match="holds no session cookie"):
        SessionCookie(path)


def test_what_is_no_file(tmp_path: Path) -> None:
    """A named pipe does not hang, a folder is no file, an impossible path is an error of ours."""
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(SessionCookieError, match="no ordinary file"):
        read_cookie(tmp_path / "pipe")
    with pytest.raises(SessionCookieError):
        read_cookie(tmp_path)
    with pytest.raises(SessionCookieError, match="not a usable path"):
        read_cookie(tmp_path / "a\0b")
    with pytest.raises(SessionCookieError, match="Not a directory"):
        read_cookie(tmp_path / "pipe" / "x")


def test_what_cannot_be_written_or_removed(tmp_path: Path) -> None:
    """A folder in the way, a path that cannot be and a value that is no cookie are errors with a remedy."""
    (tmp_path / "file").write_text("")
    with pytest.raises(SessionCookieError, match="--cookie-file"):
        save_cookie(tmp_path / "file" / "cookie", OLD)
    with pytest.raises(SessionCookieError, match="remove it yourself"):
        remove_cookie(tmp_path)
    with pytest.raises(SessionCookieError, match="holds no session cookie"):
        save_cookie(tmp_path / "cookie", "two words")
    remove_cookie(tmp_path / "absent")
