"""The cost of mcp.js: the product's own nginx up to the moment when a decision would be asked for."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from auth_server.nginx_files import McpServer, Plan, find_nginx, write_configuration
from bench import messages, processes
from bench.messages import HOST
from bench.policies import SERVER
from bench.results import Table, difference
from bench.rounds import Contender, costs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bench.processes import Server
    from bench.rounds import Bench

_NOTHING = "export default { answer: (r) => r.return(204) };\n"
_LOCATION = "location = /nothing { js_content nothing.answer; }\n"
_MCP = "    location @mcp {\n"


@contextlib.contextmanager
def server(folder: Path) -> Iterator[Server]:
    """Run it: /bench/mcp goes through inspect() and ends in 204, /nothing ends there at once."""
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
    (state / "nothing.js").write_text(_NOTHING)
    (state / "nothing.location").write_text(_LOCATION)
    # nginx obeys `return` before it asks anybody.
    ended = text.replace(_MCP, f"{_MCP}        return 204;\n")
    conf.write_text(f"js_import nothing from {state}/nothing.js;\n{ended}")
    command = [binary, "-p", str(state), "-c", str(main)]
    with processes.started("njs", command, port, folder) as started:
        yield started


def script(bench: Bench) -> None:
    """Measure nginx's processor time with inspect(), less that of a handler that does nothing."""
    token = messages.bearer(bench.credentials.tokens[0])
    cases = {
        "tools/call, 130 bytes": messages.tools_call(130),
        "10 kB, text with escapes": messages.tools_call(10_000),
        "10 kB, text without": messages.tools_call(10_000, escapes=False),
        "1 MB, text with escapes": messages.tools_call(1_000_000),
        "1 MB, text without": messages.tools_call(1_000_000, escapes=False),
    }
    rows = []
    with server(bench.workshop.folder) as started:
        for name, body in cases.items():
            whole = messages.post(token, body)
            inspected = bench.requests([whole], status=204)
            nothing = bench.requests([whole.replace(b" /bench/mcp ", b" /nothing ", 1)], status=204)
            runs = bench.alternate(
                [Contender("with", started, inspected), Contender("without", started, nothing)]
            )
            cost = difference(costs(runs["with"]), costs(runs["without"]))
            rows.append((name, costs(runs["without"]).show(1, " µs", 1e6), cost.show(1, " µs", 1e6)))
    bench.results.tables.append(
        Table(
            "mcp.js alone",
            "Processor time of nginx for a request that ends in 204: with an njs handler that does nothing, "
            "and what inspect() and its redirect add. No auth subrequest, no backend.",
            ("", "handler that does nothing", "inspect() adds"),
            rows,
        )
    )
