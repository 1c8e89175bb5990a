"""The cost of reading a request: the product's own nginx up to where it would ask for a decision."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from auth_server.gateway.nginx import McpServer, Plan, find_nginx, write_configuration
from bench import messages, processes
from bench.messages import HOST
from bench.policies import SERVER
from bench.results import Table, difference
from bench.rounds import Contender, costs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.processes import Server
    from bench.rounds import Bench

PARTS = {
    "no JavaScript": "/plain",
    "a handler that does nothing": "/nothing",
    "… and reads the body's text": "/read",
    "… and parses it (JSON.parse)": "/parse",
    "… a SHA-256 of the token": "/digest",
    "… a redirect to a named location": "/redirect",
    "a usual call, recognised natively": f"/{SERVER}/mcp",
    "the same, read by mcp.js": f"/{SERVER}/mcp/",  # a slash at the end is not usual
}
_LOCATIONS = "location = /plain { return 204; }\nlocation @nothing { return 204; }\n" + "".join(
    f"location = /{name} {{ js_import parts from parts.js; js_content parts.{name}; }}\n"
    for name in ("nothing", "read", "parse", "digest", "redirect")
)
_MCP = "    location @mcp {\n"


@contextlib.contextmanager
def server(folder: Path) -> Iterator[Server]:
    """Run it: /bench/mcp goes through inspect() and ends in 204; each part has a path of its own."""
    binary, module = find_nginx()
    port = processes.free_port()
    state = folder / f"njs-{port}"
    state.mkdir(mode=0o711)
    plan = Plan(
        listen=f"127.0.0.1:{port}",
        servers=[McpServer(SERVER, "http://127.0.0.1:9")],
        gateway_url=f"http://{HOST}",
        nginx_workers="1",
        access_log="off",
    )
    main = write_configuration(state, plan, module)
    conf = state / "gateway.conf"
    text = conf.read_text()
    if text.count(_MCP) != 1:
        raise RuntimeError("the template has no location @mcp any more: bench/njs.py must learn its new form")
    shutil.copyfile(Path(__file__).with_name("parts.js"), state / "parts.js")
    (state / "parts.location").write_text(_LOCATIONS)
    # nginx obeys `return` before it asks anybody.
    ended = text.replace(_MCP, f"{_MCP}        return 204;\n")
    conf.write_text(ended)
    command = [binary, "-p", str(state), "-c", str(main)]
    with processes.started("njs", command, port, folder) as started:
        yield started


def script(bench: Bench) -> None:
    """Measure nginx's processor time for mcp.js and for its parts, then for the sizes of a body."""
    with server(bench.workshop.folder) as started:
        _parts(bench, started)
        _sizes(bench, started)


def _parts(bench: Bench, started: Server) -> None:
    body = messages.tools_call(130)
    runs = bench.alternate([_contender(bench, started, name, path, body) for name, path in PARTS.items()])
    plain = costs(runs["no JavaScript"])
    rows = [
        (name, costs(own).show(1, " µs", 1e6), f"{difference(costs(own), plain).median * 1e6:.1f} µs")
        for name, own in runs.items()
    ]
    note = (
        "Processor time of nginx for a request of 130 bytes that ends in 204: no auth subrequest, no "
        "backend. A handler's own cost is that of making its context."
    )
    columns = ("", "median (least-most)", "over no JavaScript")
    bench.results.tables.append(Table("Reading a call, by its parts", note, columns, rows))


def _sizes(bench: Bench, started: Server) -> None:
    rows = []
    for size, said in ((10_000, "10 kB"), (1_000_000, "1 MB")):
        for escapes in (True, False):
            body = messages.tools_call(size, escapes=escapes)
            runs = bench.alternate(
                [
                    _contender(bench, started, "nothing", "/nothing", body),
                    _contender(bench, started, "parse", "/parse", body),
                    _contender(bench, started, "inspect", f"/{SERVER}/mcp", body),
                ]
            )
            adds = [difference(costs(runs[name]), costs(runs["nothing"])) for name in ("parse", "inspect")]
            rows.append(
                (
                    f"{said}, text {'with' if escapes else 'without'} escapes",
                    costs(runs["nothing"]).show(1, " µs", 1e6),
                    *(one.show(1, " µs", 1e6) for one in adds),
                )
            )
    note = "The same with larger bodies: what JSON.parse alone and what the gateway's own reading adds."
    columns = ("", "handler that does nothing", "JSON.parse adds", "the gateway's reading adds")
    bench.results.tables.append(Table("Reading a call, by the size of the body", note, columns, rows))


def _contender(bench: Bench, started: Server, name: str, path: str, body: bytes) -> Contender:
    whole = messages.post(messages.bearer(bench.credentials.tokens[0]), body)
    sent = whole.replace(f" /{SERVER}/mcp ".encode(), f" {path} ".encode(), 1)
    return Contender(name, started, bench.requests([sent], status=204))
