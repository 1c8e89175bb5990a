"""What `auth-server gateway` writes for nginx: servers, limits and places, as nginx itself understands them."""

from __future__ import annotations

import os
import re
import resource
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from support.shared_machine import free_port

from auth_server.config.settings import Settings
from auth_server.contract import RESERVED_SERVER_NAMES
from auth_server.errors import ConfigurationError
from auth_server.gateway import nginx
from auth_server.gateway.nginx import Listener, McpServer, Plan

TIME = McpServer("time", "http://127.0.0.1:5001")
NOTES = McpServer("notes", "https://mcp.example.com/base", forward_credentials=True)


@pytest.mark.parametrize(
    ("text", "url", "address"),
    [
        ("time=http://127.0.0.1:5001", "http://127.0.0.1:5001", "127.0.0.1:5001"),
        ("time=http://127.0.0.1:5001/", "http://127.0.0.1:5001", "127.0.0.1:5001"),
        ("time=http://time.example/base/", "http://time.example/base", "time.example:80"),
        ("time=https://time.example/a/b", "https://time.example/a/b", "time.example:443"),
        ("time=http://[::1]:5001", "http://[::1]:5001", "[::1]:5001"),
        ("time=https://[::1]", "https://[::1]", "[::1]:443"),
    ],
)
def test_a_server_has_a_name_and_a_url(text: str, url: str, address: str) -> None:
    """A slash at the end says nothing; the port is that of the scheme where none is given."""
    server = McpServer.parse(text)
    assert (server.name, server.url, server.address) == ("time", url, address)
    assert not server.forward_credentials


@pytest.mark.parametrize(
    "text",
    [
        "",
        "time",
        "=http://a",
        "Time=http://a",
        "a/b=http://a",
        ".a=http://a",
        "a" * 129 + "=http://a",
        *(f"{name}=http://a" for name in sorted(RESERVED_SERVER_NAMES)),
    ],
)
def test_what_is_no_servers_name(text: str) -> None:
    """Refused with what a name may be."""
    with pytest.raises(ConfigurationError, match="expected NAME=URL; a name has lower-case letters"):
        McpServer.parse(text)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "a",
        "ftp://a",
        "http://",
        "http://a:0",
        "http://a:99999",
        "http://a:x",
        "http://user@a",
        "http://user:pass@a",
        "http://a?b",
        "http://a#b",
        "http://a//b",
        "http://a/b c",
        "http://a/;b",
        "http://a/$b",
        "http://a/{b}",
        "http://a_b",
        "http://-a",
        "http://a\nb",
        "http://a\t",
        " http://a",
        "\0http://a",
        "http://a?",
        "http://a/#",
        "http://é",
    ],
)
def test_what_is_no_servers_url(url: str) -> None:
    """Nothing that nginx's configuration could read otherwise, and no secret."""
    with pytest.raises(ConfigurationError, match="expected a URL such as"):
        McpServer.parse(f"time={url}")


@pytest.mark.parametrize("path", ["/", "/rpc", "/rpc/", "/a/b.c/~d-e_f"])
def test_a_path_beside_mcps_own(path: str) -> None:
    """Plain segments; each is one more."""
    assert TIME.with_path("/x").with_path(path).paths == ("/x", path)


@pytest.mark.parametrize(
    "path",
    ["", "rpc", "//", "/a//b", "/..", "/a/../b", "/.a", "/a b", '/a"', "/a;", "/$a", "/a?b", "/é", "/%2e"],
)
def test_what_is_no_path(path: str) -> None:
    """Nothing with two readings, nor what nginx's configuration could read otherwise."""
    with pytest.raises(ConfigurationError, match="expected NAME=/PATH"):
        TIME.with_path(path)


def test_what_a_person_would_write_for_servers() -> None:
    """An upstream each, and a line in each map that it needs."""
    written = nginx.servers_conf([TIME, NOTES.with_path("/rpc").with_path("/x")])
    assert re.findall(r"upstream (\S+) \{\n    server (\S+);", written) == [
        ("mcp_time", "127.0.0.1:5001"),
        ("mcp_notes", "mcp.example.com:443"),
    ]
    written, paths = written.split("map $mcp_server $mcp_paths")
    urls, forwards = written.split("map $mcp_server $mcp_forward_credentials")
    assert re.findall(r'"(\S+)" "(.+)";', paths) == [("\\\\notes", "/rpc /x")]
    assert '"\\\\time" http://127.0.0.1:5001;' in urls
    assert '"\\\\notes" https://mcp.example.com/base;' in urls
    assert re.findall(r'"(\S+)" 1;', forwards) == ["\\\\notes"]


def test_what_depends_on_settings() -> None:
    """Every sidecar is asked within the same request; the buffer holds a message and its framing."""
    listener = Listener("127.0.0.1:8080", ("a:1", "b:2"), "unix:/inner.sock", "/ca.pem", "off")
    written = nginx.gateway_conf(listener, Settings(pools=(), max_body_size=1000))
    assert re.findall(r"server (\S+) max_fails=0;", written) == ["a:1", "b:2"]
    # No sidecar on a socket has no relay either; nginx takes no upstream without a server.
    assert "upstream gateway_relay {\n    server 127.0.0.1:9 down;" in written
    for line in (
        "listen 127.0.0.1:8080 default_server;",
        "access_log off;",
        "client_max_body_size 1000;",
        "client_body_buffer_size 2000;",
        "proxy_ssl_trusted_certificate /ca.pem;",
    ):
        assert line in written


def test_the_files_are_beside_the_package() -> None:
    """In a checkout; in a wheel they are inside it."""
    assert {"http.conf", "server.conf", "body.js", "generated"} <= {
        p.name for p in nginx.nginx_folder().iterdir()
    }


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Return a folder of nginx's own."""
    folder = tmp_path / "state"
    folder.mkdir()
    return folder


@pytest.mark.parametrize(
    "names", [["time"], ["default", "hostnames", "include", "volatile"], ["a.b", "a_b", "a-b"]]
)
def test_nginx_takes_what_is_written(state: Path, names: list[str]) -> None:
    """Also servers whose names are words of nginx's own."""
    binary, module = nginx.find_nginx()
    servers = [McpServer.parse(f"{name}=http://127.0.0.1:9/base").with_path("/rpc") for name in names]
    plan = Plan(f"127.0.0.1:{free_port()}", servers, Settings(pools=()), nginx_workers="1")
    conf = nginx.write_configuration(state, plan, module)
    done = subprocess.run(
        [binary, "-p", str(state), "-c", str(conf), "-t", "-q"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    written = (state / "gateway.conf").read_text()
    assert f"server unix:{state}/run/sidecar.sock max_fails=0;" in written
    assert f"server unix:{state}/run/sidecar.relay.sock;" in written
    assert f"listen unix:{state}/inner/nginx.sock;" in written
    assert stat.S_IMODE((state / "inner").stat().st_mode) == 0o700


@pytest.mark.parametrize(("user", "mode"), [(0, 0o711), (1000, 0o700)])
def test_nobody_else_reaches_the_relay(
    state: Path, monkeypatch: pytest.MonkeyPatch, user: int, mode: int
) -> None:
    """Its folder is its user's alone, unless nginx's workers run as another."""
    monkeypatch.setattr(os, "getuid", lambda: user)
    nginx.write_configuration(state, Plan("127.0.0.1:1", [TIME], Settings(pools=())), "module.so")
    assert stat.S_IMODE((state / "run").stat().st_mode) == mode
    assert not list(state.glob("*.location"))


def test_a_machine_without_nginx(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said what to install."""
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    with pytest.raises(ConfigurationError, match="not found; install nginx and its njs module"):
        nginx.find_nginx()


def test_a_machine_without_njs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """nginx alone is not enough; where it looks for modules is its own word."""
    fake = tmp_path / "nginx"
    fake.write_text(f"#!/bin/sh\necho 'configure arguments: --modules-path={tmp_path}' >&2\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    (tmp_path / "ngx_http_js_module.so").touch()
    assert nginx.find_nginx() == (str(fake), str(tmp_path / "ngx_http_js_module.so"))
    (tmp_path / "ngx_http_js_module.so").unlink()
    monkeypatch.setattr(Path, "is_file", lambda _: False)
    with pytest.raises(ConfigurationError, match=r"ngx_http_js_module.so\) was not found"):
        nginx.find_nginx()


def test_the_certificates_that_this_machine_trusts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that there is; without any, it is said what to install."""
    assert "BEGIN CERTIFICATE" in Path(nginx.ca_file()).read_text(errors="replace")
    monkeypatch.setattr(Path, "is_file", lambda _: False)
    with pytest.raises(ConfigurationError, match="install ca-certificates"):
        nginx.ca_file()


@pytest.mark.parametrize(("hard", "files"), [(1024, 1024), (10**6, 65536), (resource.RLIM_INFINITY, 65536)])
def test_how_many_files_a_worker_may_open(monkeypatch: pytest.MonkeyPatch, hard: int, files: int) -> None:
    """What this user may ask for, within reason."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (512, hard))
    assert nginx._open_files() == files
