"""nginx with the product's own configuration up to the moment when a decision would be asked for."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from auth_server.nginx_files import McpServer, Plan, find_nginx, write_configuration
from bench import processes
from bench.messages import HOST
from bench.policies import SERVER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bench.processes import Server

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
