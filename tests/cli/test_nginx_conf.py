"""`auth-server nginx-conf`: what nginx gets of the settings, wherever they come from."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from support.command import Command

SIDECARS = ("--sidecar", "unix:/run/1.sock", "--sidecar", "127.0.0.1:8001", "--inner", "unix:/run/inner.sock")
LARGE = "client_max_body_size 524288;"


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run commands in an empty folder: no other setting is needed."""
    return Command(tmp_path, monkeypatch, capsys)


@pytest.mark.parametrize("source", ["environment", "file", "dotenv"])
def test_the_limit_comes_from_every_source(command: Command, source: str) -> None:
    """MAX_BODY_SIZE means the same in the environment, in a file that is named there, and in .env."""
    (command.folder / "size").write_text("512k\n")
    settings = {"environment": {"MAX_BODY_SIZE": "512k"}, "file": {"MAX_BODY_SIZE_FILE": "size"}}
    if source == "dotenv":
        (command.folder / ".env").write_text("MAX_BODY_SIZE=512K\n")
    done = command("nginx-conf", *SIDECARS, **settings.get(source, {}))
    assert (done.code, done.err) == (0, "")
    assert LARGE in done.out
    assert "client_body_buffer_size 1048576;" in done.out


def test_what_is_where(command: Command) -> None:
    """The listener, every sidecar and the trusted certificates are in it; the limit has a default."""
    done = command("nginx-conf", *SIDECARS, "--listen", "127.0.0.1:9000", "--ca-file", "/etc/ca.pem")
    for line in (
        "listen 127.0.0.1:9000 default_server;",
        "server unix:/run/1.sock max_fails=0;",
        "server 127.0.0.1:8001 max_fails=0;",
        "server unix:/run/1.relay.sock;",
        "listen unix:/run/inner.sock;",
        "proxy_ssl_trusted_certificate /etc/ca.pem;",
        "client_max_body_size 4194304;",
    ):
        assert line in done.out


def test_a_file_is_written_whole(command: Command) -> None:
    """`--write` puts the file in its place in one step, for nginx's own user to read."""
    path = command.folder / "gateway.conf"
    path.write_text("of before")
    done = command("nginx-conf", *SIDECARS, "--write", str(path), MAX_BODY_SIZE="512k")
    assert (done.code, done.out, done.err) == (0, "", "")
    assert LARGE in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert [file.name for file in command.folder.iterdir() if "draft" in file.name] == []


def test_a_bad_setting_writes_nothing(command: Command) -> None:
    """A mistake is one line with the remedy."""
    path = command.folder / "gateway.conf"
    done = command("nginx-conf", *SIDECARS, "--write", str(path), MAX_BODY_SIZE="much")
    assert done.code == 1
    assert done.errors == ["auth-server: MAX_BODY_SIZE: expected a size from 1k to 64m, such as 512k or 4m"]
    assert not path.exists()
