"""Where secrets are read from; what each command says of one that is none is in its own tests."""

import io
import sys
from pathlib import Path

import pytest

from auth_server.cli.errors import CommandError
from auth_server.cli.inputs import read_secret


def stdin(monkeypatch: pytest.MonkeyPatch, raw: bytes) -> None:
    """Put this on standard input."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw)))


def test_each_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Standard input and a file are read without the blanks around; a literal comes with a warning."""
    stdin(monkeypatch, b" e.y.J\n")
    assert read_secret("-", "token") == "e.y.J"
    (tmp_path / "file").write_text("\te.y.J\n")
    assert read_secret(f"@{tmp_path}/file", "token") == "e.y.J"
    assert capsys.readouterr().err == ""
    assert read_secret("e.y.J", "token") == "e.y.J"
    assert capsys.readouterr().err.startswith("warning: a token on the command line shows")


@pytest.mark.parametrize(
    ("raw", "said"),
    [(b"", "empty; expected a cookie"), (b" \n", "empty"), (b"a" * 65_537, "longer than 65536 bytes")],
)
def test_what_is_no_secret(monkeypatch: pytest.MonkeyPatch, raw: bytes, said: str) -> None:
    """Nothing, and more than any credential has, is refused with the place."""
    stdin(monkeypatch, raw)
    with pytest.raises(CommandError, match=f"^standard input: {said}"):
        read_secret("-", "cookie")


@pytest.mark.parametrize("name", ["nowhere", "", "a\0b"])
def test_a_file_that_cannot_be_read(tmp_path: Path, name: str) -> None:
    """A path that leads to no file is one line with what to give."""
    with pytest.raises(CommandError, match="give @ and the path of a file that holds the token"):
        read_secret(f"@{tmp_path}/{name}", "token")
