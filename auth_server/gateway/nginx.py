"""The files in nginx/ that the containers use, rendered for `auth-server gateway` on this machine."""

from __future__ import annotations

import os
import re
import resource
import shutil
import ssl
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from auth_server.contract import RESERVED_SERVER_NAMES, SERVER_NAME_PATTERN
from auth_server.errors import ConfigurationError, Mistake

if TYPE_CHECKING:
    from auth_server.config.settings import Settings

_PACKAGE = Path(__file__).parent.parent
_NAME = re.compile(SERVER_NAME_PATTERN)
_BASE_PATH = re.compile(r"(?:/[A-Za-z0-9._~-]+)*/?")
_PATH = re.compile(r"/|(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+/?")
# urlsplit drops line breaks, and what is behind an empty “?” or “#”; nginx gets all of it.
_PLAIN = re.compile(r"(?:(?![?#])[!-~])+")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]")

_MAIN = """\
# Written by `auth-server gateway`; gone when it stops.
load_module {module};
daemon off;
worker_processes {workers};
worker_rlimit_nofile {files};
worker_shutdown_timeout 5s;
pid {state}/nginx.pid;
error_log stderr warn;
pcre_jit on;
events {{ worker_connections 16384; }}
http {{
    client_body_temp_path {state}/body;
    proxy_temp_path {state}/proxy;
    fastcgi_temp_path {state}/fastcgi;
    uwsgi_temp_path {state}/uwsgi;
    scgi_temp_path {state}/scgi;
    include gateway.conf;
}}
"""

_NOWHERE = ["127.0.0.1:9 down"]  # nginx takes no upstream without a server

# What of the settings `gateway_conf` needs.
SETTINGS = ("MAX_BODY_SIZE",)

# The buffer also holds the framing of chunks, and is taken up only as far as it is filled: twice the limit.
_GATEWAY = """\
# Written by auth-server from its settings. What does not depend on them is in the files that this includes.
upstream gateway_auth_server {{
{sidecars}
    keepalive 64;
}}
upstream gateway_relay {{
{relays}
    keepalive 64;
}}
include http.conf;
include servers.conf;
server {{
    listen {listen} default_server;
    access_log {access_log};
    client_max_body_size {max_body_size};
    client_body_buffer_size {buffer_size};
    proxy_ssl_trusted_certificate {ca_file};
    include server.conf;
}}
# What the relay sends on, and nobody else: whoever reaches this reaches every MCP server.
server {{
    listen {inner};
    access_log off;
    error_log stderr alert;
    server_tokens off;
    client_max_body_size 0;
    large_client_header_buffers 8 64k;
    proxy_ssl_trusted_certificate {ca_file};
    include generated/inner.conf;
}}
"""


@dataclass(frozen=True, slots=True)
class McpServer:
    """One MCP server behind the gateway: `/<name>/rest` goes to `url` + `/rest`.

    `paths` are those that go on beside MCP's own.
    """

    name: str
    url: str
    forward_credentials: bool = False
    paths: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> McpServer:
        """Read NAME=URL; raises ConfigurationError that says what a name and a URL may be."""
        name, equals, url = text.partition("=")
        place = f"--server {name}"
        if not equals or not _NAME.fullmatch(name) or name in RESERVED_SERVER_NAMES:
            raise ConfigurationError(
                [
                    Mistake(
                        place,
                        "expected NAME=URL; a name has lower-case letters, digits, “.”, “_”, “-” "
                        f"and is none of {', '.join(sorted(RESERVED_SERVER_NAMES))}",
                    )
                ],
            )
        try:
            parts = urlsplit(url)
            port_ok = parts.port is None or parts.port > 0
        except ValueError:
            port_ok = False
        if (
            not port_ok
            or parts.scheme not in {"http", "https"}
            or parts.username is not None
            or not _HOST.fullmatch(parts.netloc.rpartition(":")[0] if parts.port else parts.netloc)
            or not _BASE_PATH.fullmatch(parts.path)
            or not _PLAIN.fullmatch(url)
        ):
            raise ConfigurationError(
                [
                    Mistake(
                        place,
                        "expected a URL such as http://127.0.0.1:8000 or https://mcp.example.com/base, "
                        "without user, query or fragment",
                    )
                ],
            )
        return cls(name, url.rstrip("/"))

    def with_path(self, path: str) -> McpServer:
        """Return the same server with one more path; raises ConfigurationError for what is none."""
        if not _PATH.fullmatch(path):
            mistake = Mistake(
                f"--path {self.name}", "expected NAME=/PATH, such as notes=/rpc; / stands for all paths"
            )
            raise ConfigurationError([mistake])
        return replace(self, paths=(*self.paths, path))

    @property
    def address(self) -> str:
        """Return host:port, the port written out, as an upstream block needs it."""
        parts = urlsplit(self.url)
        host = parts.netloc if parts.port is None else parts.netloc.rpartition(":")[0]
        return f"{host}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


@dataclass(frozen=True, slots=True)
class Listener:
    """Where nginx listens and logs, the sidecars that it asks, and the certificates that it trusts.

    `inner` is where their relays come back to it.
    """

    listen: str
    sidecars: tuple[str, ...]
    inner: str
    ca_file: str
    access_log: str = "/dev/stdout gateway buffer=64k flush=1s"

    @property
    def relays(self) -> list[str]:
        """Where the sidecars' relays listen: those of sidecars on Unix sockets, which no network reaches."""
        paths = [sidecar.removeprefix("unix:") for sidecar in self.sidecars if sidecar.startswith("unix:")]
        return [f"unix:{relay_socket(Path(path))}" for path in paths]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run: where to listen, the servers behind, the settings, and how many workers of each kind."""

    listen: str
    servers: list[McpServer]
    settings: Settings
    workers: int = 1
    nginx_workers: str = "auto"
    access_log: str = "/dev/stdout gateway buffer=64k flush=1s"


def sidecar_socket(state: Path) -> Path:
    """Return where the sidecar of `gateway` listens."""
    return state / "run" / "sidecar.sock"


def relay_socket(sidecar: Path) -> Path:
    """Return where the relay of the sidecar at this Unix socket listens."""
    return sidecar.with_suffix(".relay.sock")


def inner_socket(state: Path) -> Path:
    """Return where nginx takes what the relay sends on, for `gateway`: a folder that is its user's alone."""
    return state / "inner" / "nginx.sock"


def nginx_folder() -> Path:
    """Return the folder of nginx/'s files: in the wheel inside the package, in a checkout beside it."""
    inside = _PACKAGE / "_nginx"
    return inside if inside.is_dir() else _PACKAGE.parent / "nginx"


def servers_conf(servers: list[McpServer]) -> str:
    """Return what a person would write into nginx/servers.conf for these servers."""
    blocks = [
        f"upstream mcp_{s.name} {{\n    server {s.address};\n"
        "    keepalive 32;\n    keepalive_timeout 4s;\n}\n"
        for s in servers
    ]
    # The backslash keeps a server named default, hostnames, include or volatile from being map's own word.
    urls = "".join(f'    "\\\\{s.name}" {s.url};\n' for s in servers)
    forwards = "".join(f'    "\\\\{s.name}" 1;\n' for s in servers if s.forward_credentials)
    paths = "".join(f'    "\\\\{s.name}" "{" ".join(s.paths)}";\n' for s in servers if s.paths)
    maps = [
        f'map $mcp_server $mcp_url {{\n    default "";\n{urls}}}\n',
        f"map $mcp_server $mcp_forward_credentials {{\n    default 0;\n{forwards}}}\n",
        f'map $mcp_server $mcp_paths {{\n    default "";\n{paths}}}\n',
    ]
    return "\n".join(blocks + maps)


def gateway_conf(listener: Listener, settings: Settings) -> str:
    """Return what of nginx's configuration depends on the settings and the machine."""
    return _GATEWAY.format(
        # One that does not answer is never set aside: the next is asked within the same request.
        sidecars="\n".join(f"    server {sidecar} max_fails=0;" for sidecar in listener.sidecars),
        relays="\n".join(f"    server {relay};" for relay in listener.relays or _NOWHERE),
        inner=listener.inner,
        listen=listener.listen,
        access_log=listener.access_log,
        max_body_size=settings.max_body_size,
        buffer_size=2 * settings.max_body_size,
        ca_file=listener.ca_file,
    )


def find_nginx() -> tuple[str, str]:
    """Return the paths of nginx and of its njs module; raises ConfigurationError with what to install."""
    binary = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    remedy = "install nginx and its njs module (Debian, Ubuntu: apt-get install nginx libnginx-mod-http-js)"
    if binary is None:
        raise ConfigurationError([Mistake("nginx", f"not found; {remedy}")])
    command = [binary, "-V"]
    built = subprocess.run(command, capture_output=True, text=True, check=True).stderr  # noqa: S603 - found above
    match = re.search(r"--modules-path=(\S+)", built)
    folders = [Path(match[1])] if match else []
    for folder in [*folders, Path("/usr/lib/nginx/modules"), Path("/etc/nginx/modules")]:
        module = folder / "ngx_http_js_module.so"
        if module.is_file():
            return binary, str(module)
    raise ConfigurationError(
        [Mistake("nginx", f"its njs module (ngx_http_js_module.so) was not found; {remedy}")]
    )


def write_configuration(state: Path, plan: Plan, module: str) -> Path:
    """Write nginx.conf and all that it includes into `state`, and return its path."""
    shutil.copytree(nginx_folder(), state, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.location"))
    (state / "servers.conf").write_text(servers_conf(plan.servers))
    sidecars = (f"unix:{sidecar_socket(state)}",)
    # Whoever reaches the relay, or what it sends on to, reaches every MCP server. Started by root, nginx's
    # workers run as another user, who has to pass.
    sidecar_socket(state).parent.mkdir(mode=0o700 if os.getuid() else 0o711, exist_ok=True)
    inner_socket(state).parent.mkdir(mode=0o700, exist_ok=True)
    inner = f"unix:{inner_socket(state)}"
    listener = Listener(plan.listen, sidecars, inner, ca_file(), plan.access_log)
    (state / "gateway.conf").write_text(gateway_conf(listener, plan.settings))
    main = state / "nginx.conf"
    workers = plan.nginx_workers
    main.write_text(_MAIN.format(module=module, workers=workers, state=state, files=_open_files()))
    return main


def _open_files() -> int:
    """Return how many files a worker may hold open: what this user may ask for, within reason."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 65536 if hard == resource.RLIM_INFINITY else min(hard, 65536)


def ca_file() -> str:
    """Return the file of certificates that this machine trusts; raises ConfigurationError where none is."""
    paths = ssl.get_default_verify_paths()
    for candidate in (
        paths.cafile,
        paths.openssl_cafile,
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/ssl/cert.pem",
    ):
        if candidate and Path(candidate).is_file():
            return candidate
    raise ConfigurationError(
        [Mistake("nginx", "no file of trusted certificates was found; install ca-certificates")]
    )
