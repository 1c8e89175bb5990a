"""Single requests that are meant to cost: in processor time, in memory, or in how long they take."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench import messages
from bench.policies import TOOLS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

LARGE = 4 * 1024 * 1024  # MAX_BODY_SIZE
_ROOM = 200  # bytes for all that is not what the request is about
_SMALL = messages.tools_call(130)
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent, given the header line of a credential: its pieces, and the seconds between two.

    `lasts` says that nothing ends it as long as its pieces come.
    """

    name: str
    pieces: Callable[[str], Iterable[bytes]]
    pause: float = 0
    lasts: bool = False


def _call(arguments: bytes, *, name: bytes = TOOLS[7].encode(), beside: bytes = b"") -> bytes:
    """Return a tools/call with these arguments, and members beside those that decide."""
    params = b'{"name":"%b","arguments":%b%b}' % (name, arguments, beside)
    return b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":%b}' % params


def _fill(unit: bytes) -> bytes:
    """Repeat this until a message of 4 MB is full."""
    return unit * ((LARGE - _ROOM) // len(unit))


def _text(unit: bytes, *, end: bytes = b"") -> bytes:
    return _call(b'{"text":"%b%b"}' % (_fill(unit), end))


def _nested(opening: bytes, closing: bytes) -> bytes:
    depth = (LARGE - _ROOM) // len(opening + closing)
    return _call(opening * depth + b"1" + closing * depth)


def _colliding() -> bytes:
    """Return 2.3 MB of keys that collide where a hash is 33 times itself and the next character."""
    keys = itertools.islice(itertools.product((b"ab", b"bA"), repeat=17), 2_300_000 // 39)  # both count alike
    return b",".join(b'"%b":1' % b"".join(pairs) for pairs in keys)


def _short_keys(count: int) -> bytes:
    keys = itertools.islice(itertools.cycle(itertools.product(_LETTERS, _LETTERS)), count)
    return "".join(f',"{first}{second}":1' for first, second in keys).encode()


def _unfolding_keys() -> bytes:
    """Return members with keys of a letter that stands for eighteen."""
    letters = "\ufdfa" * 990
    return "".join(f',"{letters}{number}":1' for number in range(990)).encode()


def _post(body: bytes, *lines: str) -> Callable[[str], Iterable[bytes]]:
    """Return the request with this body, and these header lines beside the usual ones."""
    return lambda credential: [messages.post("\r\n".join([credential, *lines]), body)]


def _byte_by_byte(body: bytes, *, headers_too: bool = False) -> Callable[[str], Iterator[bytes]]:
    def pieces(credential: str) -> Iterator[bytes]:
        whole = messages.post(credential, body)
        at = 0 if headers_too else len(whole) - len(body)
        yield whole[:at]
        yield from (whole[here : here + 1] for here in range(at, len(whole)))

    return pieces


def _in_chunks_of_a_byte(credential: str) -> Iterator[bytes]:
    head = messages.post(credential, b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    yield head + b"".join(b"1\r\n%c\r\n" % byte for byte in _text(b"a")) + b"0\r\n\r\n"


def _long_path(credential: str) -> list[bytes]:
    return [messages.post(credential, _SMALL).replace(b"/mcp ", b"/mcp/%b " % (b"%41" * 10_000), 1)]


def _sign_ins(count: int) -> str:
    return "; ".join(f"mcp_gateway_sign_in_{number}={'a' * 100}" for number in range(count))


REQUESTS = (
    Request("a small call", _post(_SMALL)),
    Request("a call of 4 MB", _post(messages.tools_call(LARGE))),
    Request("2.3 MB of keys that collide", _post(_call(b"{%b}" % _colliding()))),
    Request("[{},{},…] of 4 MB", _post(_call(b"[%b{}]" % _fill(b"{},")))),
    Request("arrays in arrays, 4 MB", _post(_nested(b"[", b"]"))),
    Request("objects in objects, 4 MB", _post(_nested(b'{"a":', b"}"))),
    Request("a million strings", _post(_call(b'[%b"a"]' % _fill(b'"a",')))),
    Request(r"4 MB of \u0041", _post(_text(rb"\u0041"))),
    Request(r"4 MB of \ud83d\ude00", _post(_text(rb"\ud83d\ude00"))),
    Request(r"4 MB of lone \ud800", _post(_text(rb"\ud800"))),
    Request(r"4 MB of \\ and one lone \ud800", _post(_text(rb"\\", end=rb"\ud800"))),
    Request("600,000 keys beside those that decide", _post(_call(b"{}", beside=_short_keys(599_000)))),
    Request("990 long keys there that unfold", _post(_call(b"{}", beside=_unfolding_keys()))),
    Request("a key of 4 MB there", _post(_call(b"{}", beside=b',"%b":1' % _fill(b"a")))),
    Request("a name of 4 MB", _post(_call(b"{}", name=_fill(b"a")))),
    Request("an id of 4 MB", _post(_SMALL.replace(b'"id":1', b'"id":"%b"' % _fill(rb"\u0041")))),
    Request("990 headers", _post(_SMALL, *(f"X-Header-{number}: value" for number in range(990)))),
    Request(
        "7 headers of 32 kB", _post(_SMALL, *(f"X-Header-{number}: {'a' * 32_000}" for number in range(7)))
    ),
    Request(
        "7 headers of 32 kB, all cookies", _post(_SMALL, *(f"Cookie: {'a;' * 16_000}" for _ in range(7)))
    ),
    Request("200 cookies of sign-ins", _post(_SMALL, f"Cookie: {_sign_ins(200)}")),
    Request("a path of 30 kB", _long_path),
    Request("4 MB in chunks of a byte", _in_chunks_of_a_byte),
    Request("headers, a byte a second", _byte_by_byte(_SMALL, headers_too=True), pause=1),
    Request("a body that stops", lambda credential: [messages.post(credential, _SMALL)[:-1]]),
    Request("a body, a byte a second", _byte_by_byte(_SMALL), pause=1, lasts=True),
)
