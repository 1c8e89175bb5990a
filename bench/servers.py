"""Everything that is measured, started as a user would start it: one worker each, the same backend behind."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import resource
import shutil
import subprocess
import sys
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bench import envoy, policies, processes
from bench.credentials import ISSUER, POOL, SECRET_KEY
from bench.messages import HOST

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bench.processes import Server

_REPLY = '{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"2026-11-20T12:00:00+01:00"}]}}'

# What the product asks of an nginx: to run, and where its modules are.
_OTHER_NGINX = """\
#!/bin/sh
if [ "$1" = -V ]; then
    echo "--modules-path={modules}" >&2
    exit
fi
exec {command} "$@"
"""

_NGINX = """\
daemon off;
worker_processes 1;
worker_rlimit_nofile {files};
pid {folder}/nginx-{port}.pid;
error_log stderr warn;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    large_client_header_buffers 8 32k;
    client_max_body_size 8m;
    client_body_buffer_size 8m;  # no body goes through a file, as none does in the gateway
{http}
}}
"""

_BACKEND = """\
    keepalive_requests 1000000000;
    server {{
        listen 127.0.0.1:{port};
        default_type application/json;
        location / {{ return 200 '{reply}'; }}
    }}
"""

_BARE = """\
    upstream backend {{ server 127.0.0.1:{backend}; keepalive 32; }}
    upstream streams {{ server 127.0.0.1:{streams}; keepalive 32; }}
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    server {{
        listen 127.0.0.1:{port};
        access_log {access_log};
        location / {{ proxy_pass http://backend; }}
        location /streams/ {{ proxy_pass http://streams; proxy_buffering off; }}
    }}
"""


@dataclass(frozen=True, slots=True)
class Workshop:
    """Where servers are started: a folder for their files, the key set, and what lies behind them."""

    folder: Path
    jwks: dict[str, Any]
    jwks_url: str
    backend: int
    streams: int
    programs: str = os.environ["PATH"]  # where nginx is found

    def other_nginx(self) -> Workshop | None:
        """Return the same with the nginx that BENCH_NGINX names, a command of the shell, or None."""
        command = os.environ.get("BENCH_NGINX")
        if not command:
            return None
        programs = self.folder / "other-nginx"
        programs.mkdir(exist_ok=True)
        script = programs / "nginx"
        script.write_text(_OTHER_NGINX.format(command=command, modules=os.environ["BENCH_NGINX_MODULES"]))
        script.chmod(0o755)
        return replace(self, programs=f"{programs}:{self.programs}")

    def nginx_version(self) -> str:
        """Return what nginx says of itself: nginx/1.22.1."""
        command = [shutil.which("nginx", path=self.programs) or "nginx", "-v"]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
        return said.strip().removeprefix("nginx version: ")

    def bare(self, *, access_log: str = "off") -> contextlib.AbstractContextManager[Server]:
        """Start nginx as a plain reverse proxy: it judges nothing."""
        port = processes.free_port()
        places = {"backend": self.backend, "streams": self.streams, "port": port}
        http = _BARE.format(access_log=access_log, **places)
        return _nginx(self.folder, "bare", http, port, self.programs)

    def gateway(self, name: str, **settings: str) -> contextlib.AbstractContextManager[Server]:
        """Start the product itself: nginx with one worker and a sidecar with one worker."""
        port = processes.free_port()
        servers = {policies.SERVER: self.backend, policies.STREAMS: self.streams}
        command = [sys.executable, "-m", "auth_server", "gateway", "--listen", f"127.0.0.1:{port}"]
        for server, upstream in servers.items():
            command += ["--server", f"{server}=http://127.0.0.1:{upstream}"]
        # Its access log goes to its standard output, which is /dev/null: it is written like everybody's.
        return processes.started(
            name,
            [*command, "--nginx-workers", "1", "--workers", "1"],
            port,
            self.folder,
            environ=self._settings(**settings),
        )

    def sidecar(
        self, name: str, *, workers: int = 1, **settings: str
    ) -> contextlib.AbstractContextManager[Server]:
        """Start the sidecar alone."""
        port = processes.free_port()
        command = [
            sys.executable,
            "-m",
            "auth_server",
            "serve",
            "--port",
            str(port),
            "--workers",
            str(workers),
        ]
        return processes.started(name, command, port, self.folder, environ=self._settings(**settings))

    def envoy(self, name: str, *, tool_check: bool) -> contextlib.AbstractContextManager[Server]:
        """Start Envoy with one worker, its native JWT filter and its token cache."""
        port = processes.free_port()
        file = self.folder / f"{name}.json"
        file.write_text(envoy.configuration(port, self.backend, self.jwks, tool_check=tool_check))
        options = ["--concurrency", "1", "--disable-hot-restart", "--log-level", "error"]
        return processes.started(name, [envoy.binary(), "-c", str(file), *options], port, self.folder)

    def uvicorn(self, app: str) -> contextlib.AbstractContextManager[Server]:
        """Start one of the bench's own applications, as lean as the sidecar is started."""
        port = processes.free_port()
        options = ["--loop", "uvloop", "--http", "httptools", "--ws", "none", "--no-access-log"]
        command = [sys.executable, "-m", "uvicorn", f"bench.{app}:app", "--port", str(port), *options]
        lean = ["--no-server-header", "--no-date-header", "--log-level", "warning"]
        return processes.started(
            app, [*command, *lean], port, self.folder, environ=self._settings(BENCH_ISSUER=ISSUER)
        )

    def _settings(self, **changes: str) -> dict[str, str]:
        return processes.environment(
            **{
                "PATH": self.programs,
                "GATEWAY_URL": f"http://{HOST}",
                "COGNITO_USER_POOL_ID": POOL,
                "COGNITO_JWKS_URL": self.jwks_url,
                "COGNITO_ALLOWED_CLIENT_IDS": "*",
                "SECRET_KEY": SECRET_KEY,
                "SCOPES_FILE": str(self.small_policy),
                "XDG_STATE_HOME": str(self.folder / "state"),
                "LOG_FORMAT": "json",
                **changes,
            }
        )

    @property
    def small_policy(self) -> Path:
        """scopes.yml with 5 servers."""
        return self.folder / "small.yml"

    @property
    def large_policy(self) -> Path:
        """scopes.yml with 1,000 servers."""
        return self.folder / "large.yml"


@contextlib.contextmanager
def workshop(folder: Path, jwks: dict[str, Any]) -> Iterator[Workshop]:
    """Start what everything else needs: the key set's endpoint, the backend, the server of streams."""
    folder.chmod(0o711)  # nginx's worker is another user where this runs as root
    backend, streams = processes.free_port(), processes.free_port()
    command = [sys.executable, "-m", "bench.streams", str(streams)]
    with (
        _jwks(jwks) as jwks_url,
        _nginx(folder, "backend", _BACKEND.format(port=backend, reply=_REPLY), backend, os.environ["PATH"]),
        processes.started("streams", command, streams, folder),
    ):
        made = Workshop(folder, jwks, jwks_url, backend, streams)
        policies.write_small(made.small_policy)
        policies.write_large(made.large_policy)
        yield made


def open_files() -> int:
    """Let this process hold as many files as it may, and return how many those are."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = 65536 if hard == resource.RLIM_INFINITY else min(hard, 65536)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return most


@contextlib.contextmanager
def _nginx(folder: Path, name: str, http: str, port: int, programs: str) -> Iterator[Server]:
    own = folder / f"{name}-{port}"
    own.mkdir(mode=0o711)
    conf = own / "nginx.conf"
    conf.write_text(_NGINX.format(folder=own, http=http, port=port, files=open_files()))
    command, environ = ["nginx", "-p", str(own), "-c", str(conf)], processes.environment(PATH=programs)
    with processes.started(name, command, port, folder, environ=environ) as server:
        yield server


@contextlib.contextmanager
def _jwks(jwks: dict[str, Any]) -> Iterator[str]:
    body = json.dumps(jwks).encode()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/jwks.json"
        finally:
            server.shutdown()
