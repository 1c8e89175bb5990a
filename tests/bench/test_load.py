"""The benchmark's harness against real servers: it counts right answers, and only those."""

import contextlib
import shutil
import socketserver
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from auth_server import contract
from auth_server.gateway.nginx import find_nginx
from bench import constant_rate, credentials, load, messages, policies, servers, streams
from bench.credentials import Credentials
from bench.load import WrongAnswerError
from bench.processes import Server
from bench.rounds import until_it_answers
from bench.servers import Workshop

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture(scope="module")
def signed() -> Credentials:
    return credentials.sign(20, int(time.time()) + 3600)


@pytest.fixture(scope="module")
def shop(signed: Credentials) -> Iterator[Workshop]:
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        servers.workshop(Path(folder), signed.jwks) as made,
    ):
        yield made


@contextlib.contextmanager
def answering(answer: Callable[[int], bytes]) -> Iterator[Server]:
    """Serve what `answer` says for the n-th request, whatever the request is."""
    numbers = iter(range(1_000_000))

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while self.rfile.readline().strip():
                while self.rfile.readline().strip():
                    pass
                self.wfile.write(answer(next(numbers)))

    class Threads(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False
        request_queue_size = 128

    with Threads(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Server("answering", server.server_address[1], 0, Path())
        server.shutdown()


def call(signed: Credentials, *, tool: str = policies.TOOLS[7]) -> bytes:
    """Return a call of a tool through the gateway."""
    return messages.post(messages.bearer(signed.tokens[0]), messages.tools_call(130, tool=tool))


def test_one_row_is_measured_through_the_real_gateway(shop: Workshop, signed: Credentials) -> None:
    """wrk's answers are counted; the processor times of nginx and of the sidecar stand beside them."""
    sent = load.write(shop.folder, [call(signed)])
    with shop.gateway("gateway") as gateway:
        until_it_answers(gateway, sent)
        run = load.run(gateway, sent, 1)
        refused = load.write(shop.folder, [call(signed, tool=policies.FORBIDDEN_TOOL)], status=403)
        assert load.run(gateway, refused, 1).requests > 0
        with streams.opened(gateway.port, messages.stream(messages.bearer(signed.tokens[0])), 3):
            assert gateway.memory("nginx: worker") > 0
    assert run.requests > 0
    assert run.cpu["nginx"] > 0
    assert sum(used > 0 for used in run.cpu.values()) >= 2


def test_a_refused_call_is_no_throughput(shop: Workshop, signed: Credentials) -> None:
    """A server that answers quickly, but wrongly, has no figure."""
    wrong = load.write(shop.folder, [call(signed, tool=policies.FORBIDDEN_TOOL)])
    with shop.gateway("gateway") as gateway:
        until_it_answers(gateway, load.write(shop.folder, [call(signed)]))
        with pytest.raises(WrongAnswerError, match=r"expected 200, got .*403"):
            load.run(gateway, wrong, 1)
        # The first request is right, as the probe sees it; wrk's count of statuses finds the others.
        mixed = load.write(shop.folder, [call(signed), call(signed, tool=policies.FORBIDDEN_TOOL)])
        with pytest.raises(WrongAnswerError, match="not all answers were 200"):
            load.run(gateway, mixed, 1)


def test_the_sidecar_is_asked_what_nginx_asks_it(shop: Workshop, signed: Credentials) -> None:
    """A question that the benchmark writes by hand has the headers, and the answer, of one that nginx asks."""
    bearer = messages.bearer(signed.tokens[0])
    body, other = messages.tools_call(130), messages.tools_call(130, tool=policies.FORBIDDEN_TOOL)
    with shop.sidecar("sidecar") as sidecar:
        allowed = load.write(shop.folder, [messages.validate(bearer, body)])
        until_it_answers(sidecar, allowed)
        assert b"x-tool-name: tool_07" in load.probe(sidecar, allowed)
        load.probe(sidecar, load.write(shop.folder, [messages.validate(bearer, other)], status=403))
    named = {line.split(b":")[0].lower() for line in allowed.first.split(b"\r\n\r\n")[0].split(b"\r\n")[1:]}
    # Few servers have paths of their own, and of nothing nginx sends no header.
    assert named >= {*contract.SAID_BY_NGINX, b"host", b"content-length"} - {contract.MCP_PATHS}


def test_another_nginx_is_measured_by_the_same_command(
    shop: Workshop, signed: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    """BENCH_NGINX names a command and BENCH_NGINX_MODULES its modules; the gateway runs on it unchanged."""
    assert shop.other_nginx() is None
    binary, module = find_nginx()
    copy = shutil.copy(binary, shop.folder / "another")
    monkeypatch.setenv("BENCH_NGINX", f"env -u LANG {copy}")
    monkeypatch.setenv("BENCH_NGINX_MODULES", str(Path(module).parent))
    other = shop.other_nginx()
    assert other is not None
    assert other.nginx_version() == shop.nginx_version()
    sent = load.write(shop.folder, [call(signed)])
    with other.gateway("gateway") as gateway:
        until_it_answers(gateway, sent)
        (worker,) = gateway.processes("nginx: worker")
        assert Path(f"/proc/{worker}/exe").readlink() == copy


def test_who_waits_behind_a_slow_answer_is_counted_with_the_wait(tmp_path: Path) -> None:
    """At a constant rate a request's time counts from when it was due, also if no connection was free."""
    stalled = threading.Event()
    warm_up = 64 + 1 + 20  # each connection once, the probe, and the first tenth of the requests

    def answer(number: int) -> bytes:
        if number == warm_up:
            stalled.set()
        if stalled.is_set():
            while time.monotonic() < until[0]:
                time.sleep(0.01)  # the slow server that is measured
        elif number < warm_up:
            until[0] = time.monotonic() + 0.5
        return ANSWER

    until = [0.0]
    sent = load.write(tmp_path, [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"])
    with answering(answer) as server:
        found = constant_rate.measure(server, sent, rate=1000, seconds=0.2)
    # All connections are taken for half a second: the requests due meanwhile have waited as long, less
    # the 0.2 s in which they became due.
    assert found.p50 > 0.2


def test_another_answer_at_a_constant_rate_is_no_figure(tmp_path: Path) -> None:
    """A server that begins to refuse under load has no latency."""
    sent = load.write(tmp_path, [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"])
    refusal = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\nok"
    with (
        answering(lambda number: ANSWER if number < 100 else refusal) as server,
        pytest.raises(WrongAnswerError, match="503"),
    ):
        constant_rate.measure(server, sent, rate=1000, seconds=0.5)
