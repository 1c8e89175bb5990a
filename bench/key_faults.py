"""`python -m bench.key_faults`: what known tokens notice while the pool's key endpoint fails.

/validate is asked at a constant rate, with keys to be fetched every second, in turn with an endpoint that
answers and one that fails. Printed are p50 and p99 of each pair, and the median of the pairs' ratios.
"""

from __future__ import annotations

import contextlib
import http.server
import json
import statistics
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import constant_rate, credentials, load, messages, servers
from bench.rounds import until_it_answers

if TYPE_CHECKING:
    from collections.abc import Iterator

RATE = 1000  # requests per second
SECONDS = 4.0
ROUNDS = 5
BAR = 2.0  # times the p99 of the round without a fault
FAULTS = ("500", "hang", "30 MB")


class Endpoint:
    """The pool's key set, which `fault` breaks."""

    def __init__(self, jwks: dict[str, Any]) -> None:
        self.body = json.dumps(jwks).encode()
        self.fault = ""
        self.url = ""
        self.released = threading.Event()

    @contextlib.contextmanager
    def serving(self) -> Iterator[None]:
        """Answer until the block ends."""
        endpoint = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if endpoint.fault == "hang":
                    endpoint.released.wait()
                    return
                body = b" " * 30_000_000 if endpoint.fault == "30 MB" else endpoint.body
                self.send_response(500 if endpoint.fault == "500" else 200)
                self.send_header("Content-Length", str(len(body)))
                with contextlib.suppress(ConnectionError):  # the sidecar hangs up on what is too much
                    self.end_headers()
                    self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, daemon=True).start()
            self.url = f"http://127.0.0.1:{server.server_port}/jwks.json"
            yield
            self.released.set()
            server.shutdown()


def main() -> None:
    """Measure each fault, and say whether the bar is met."""
    known = credentials.load()
    endpoint = Endpoint(known.jwks)
    with (
        tempfile.TemporaryDirectory(dir="/dev/shm", prefix="bench-") as folder,
        servers.workshop(Path(folder), known.jwks) as shop,
        endpoint.serving(),
        shop.sidecar("sidecar", COGNITO_JWKS_URL=endpoint.url, JWKS_REFRESH="1") as sidecar,
    ):
        question = messages.validate(messages.bearer(known.tokens[0]), messages.tools_call(130))
        asked = load.Requests(Path(folder, "unused"), 1, question, 200)
        until_it_answers(sidecar, asked)
        for fault in FAULTS:
            ratios = []
            for _ in range(ROUNDS):
                pair = []
                for endpoint.fault in ("", fault):
                    pair.append(constant_rate.measure(sidecar, asked, rate=RATE, seconds=SECONDS))
                ratios.append(pair[1].p99 / pair[0].p99)
                shown = "   ".join(f"p50 {1e3 * one.p50:.2f} p99 {1e3 * one.p99:.2f} ms" for one in pair)
                print(f"{fault:8} without | with   {shown}")
            found = statistics.median(ratios)
            verdict = "passes" if found < BAR else "falls short"
            print(f"{fault:8} p99 with the fault ÷ without: {found:.2f} (bar < {BAR:g}): {verdict}")


if __name__ == "__main__":
    main()
