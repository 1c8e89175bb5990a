"""What commands print: nothing that a terminal obeys, and nothing twice."""

import io
import json
import logging
import sys

import pytest

from auth_server.cli import output


def test_answers_and_complaints(capsys: pytest.CaptureFixture[str]) -> None:
    """Answers go to standard output, complaints to standard error, in one line each."""
    output.say("yes")
    output.complain("no\nand no")
    assert capsys.readouterr() == ("yes\n", "no and no\n")


def test_what_a_terminal_would_obey(capsys: pytest.CaptureFixture[str]) -> None:
    """Control characters and what turns text around are shown as escapes; letters of any script are themselves."""
    output.say("a\x1b[2Jb\x9bc\u202ed\r ümlaut 名")
    assert capsys.readouterr().out == "a\\x1b[2Jb\\x9bc\\u202ed\\r ümlaut 名\n"


def test_json_is_ascii(capsys: pytest.CaptureFixture[str]) -> None:
    """A program reads it whatever the encoding."""
    output.say_json({"name": "名\x1b"})
    out = capsys.readouterr().out
    assert out.isascii()
    assert json.loads(out) == {"name": "名\x1b"}


def test_a_stream_that_knows_few_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an encoding does not have is shown as an escape, and is no traceback."""
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii", newline=""))
    output.say("→")
    sys.stdout.flush()
    assert raw.getvalue() == b"\\u2192\n"


def test_the_log_is_hushed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a handler the warnings of the parts would go to standard error."""
    logger = logging.getLogger("auth_server")
    monkeypatch.setattr(logger, "handlers", [])
    monkeypatch.setattr(logger, "propagate", False)
    output.hush_logs()
    logging.getLogger("auth_server.keys").warning("said once already")
    assert capsys.readouterr().err == ""
