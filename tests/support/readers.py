"""nginx alone, which tells how it has read a request in place of asking anybody about it."""

from __future__ import annotations

import contextlib
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from auth_server.gateway.nginx import McpServer, Plan, find_nginx, write_configuration
from support import raw
from support.shared_machine import free_port
from support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

_READ = ("usual", "id", "question", "upstream", "host", "backend_authorization", "backend_cookie", "key")
_NEVER_USUAL = (
    "export default { headerNames: () => '', inspect: (r) => { r.internalRedirect('@inspect'); } };\n"
)
_JUDGED = "        return 460;\n"


@dataclass(eq=False)
class Reader:
    """The product's nginx up to the moment when it would ask for a decision."""

    port: int
    log_path: Path
    _connection: raw.Connection | None = None

    def read(self, request: bytes) -> tuple[int, dict[str, str]]:
        """Send a request on the connection of the last one; return the status, and what nginx made of it."""
        for _ in range(2):
            if self._connection is None:
                self._connection = raw.Connection(("127.0.0.1", self.port), timeout=30)
            try:
                self._connection.send(request)
                answer = self._connection.answer()
                break
            except raw.ClosedError:
                self.close()
        if answer.header("Connection") == "close":
            self.close()
        parts = answer.body.decode("latin-1").split("\r")
        return answer.status, dict(zip(_READ, parts, strict=True)) if answer.status == 200 else {}

    def close(self) -> None:
        """Close that connection; the next request opens one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


@contextlib.contextmanager
def reading(state: Path, *, natively: bool, decision_ttl: int = 5) -> Iterator[Reader]:
    """Start it. `natively` as it is; else all requests go through mcp.js."""
    binary, module = find_nginx()
    # nginx's workers are another user, and pytest's folders are closed to others.
    for folder in (state, *(one for one in state.parents if one.name.startswith("pytest-"))):
        folder.chmod(0o711)
    port = free_port()
    plan = Plan(
        listen=f"127.0.0.1:{port}",
        servers=[
            McpServer("time", "http://127.0.0.1:9/base"),
            McpServer("secret", "https://localhost:9"),
            McpServer("passing", "http://127.0.0.1:9", forward_credentials=True),
        ],
        gateway_url="https://gateway.example",
        allowed_hosts="other.example:8443, third.example",
        decision_ttl=decision_ttl,
        nginx_workers="1",
        access_log="off",
    )
    main = write_configuration(state, plan, module)
    if not natively:
        (state / "usual.js").write_text(_NEVER_USUAL)
    conf = state / "gateway.conf"
    text = conf.read_text()
    key = re.search('proxy_cache_key "(.*)";', text)
    assert key is not None, "the template has no proxy_cache_key in quotes any more"
    said = "\\r".join([*(f"$mcp_{name}" for name in _READ[:-1]), key[1]])
    assert text.count(_JUDGED) == 1, "the template does not end @usual as it did"
    text = "js_var $mcp_usual;\n" + text.replace(_JUDGED, f"        set $mcp_usual 1;\n{_JUDGED}")
    head, location, rest = text.partition("    location @mcp {\n")
    assert location, "the template has no location @mcp any more"
    conf.write_text(f'{head}{location}        return 200 "{said}";\n{rest}')
    log = state / "log"
    with log.open("wb") as out:
        process = subprocess.Popen([binary, "-p", str(state), "-c", str(main)], stdout=out, stderr=out)
    reader = Reader(port, log)
    try:
        until(lambda: _listens(port) or process.poll(), "nginx listens")
        assert process.poll() is None, log.read_text()
        yield reader
    finally:
        reader.close()
        process.terminate()
        process.wait(10)


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError):
        raw.Connection(("127.0.0.1", port)).close()
        return True
    return False
