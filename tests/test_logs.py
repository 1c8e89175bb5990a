"""One line per event, for machines and for people."""

import io
import json
import logging
import sys
from typing import Any

import pytest

from auth_server import logs
from auth_server.config.settings import Settings


def record(message: str = "refused", **fields: Any) -> logging.LogRecord:
    """Return an event with these fields."""
    made = logging.LogRecord("auth_server.x", logging.WARNING, "x.py", 1, message, (), None)
    made.created = 1_800_000_000.25
    made.fields = fields
    return made


def test_a_line_for_machines() -> None:
    """Time, level and event, then the event's own fields; whatever they hold, it is one line of JSON."""
    line = logs.JsonLines().format(record(status=403, path="/a\nb"))
    assert "\n" not in line
    assert json.loads(line) == {
        "time": "2027-01-15T08:00:00.250Z",
        "level": "warning",
        "event": "refused",
        "status": 403,
        "path": "/a\nb",
    }


def test_a_line_for_people() -> None:
    """The same in words."""
    line = logs.Console().format(record(status=403))
    assert line == "2027-01-15T08:00:00.250Z warning refused status=403"


@pytest.mark.parametrize("formatter", [logs.JsonLines(), logs.Console()])
def test_an_exception_is_named_and_not_shown(formatter: logging.Formatter) -> None:
    """Of an exception there is its type: its text and the lines around it may hold what is secret."""
    try:
        dict[str, str]().pop("token=secret")
    except KeyError:
        failed = record("unexpected")
        failed.exc_info = sys.exc_info()
    line = formatter.format(failed)
    assert "KeyError" in line
    assert "secret" not in line
    assert "Traceback" not in line


@pytest.mark.parametrize(
    ("log_format", "terminal", "is_json"),
    [("json", True, True), ("console", False, False), ("", True, False), ("", False, True)],
)
def test_the_format(monkeypatch: pytest.MonkeyPatch, log_format: str, terminal: bool, is_json: bool) -> None:
    """What is set holds; else a terminal gets words, and everything else JSON. Nothing below the level is said."""
    stream = io.StringIO()
    stream.isatty = lambda: terminal  # type: ignore[method-assign]  # the one thing that tells a terminal
    monkeypatch.setattr(sys, "stderr", stream)
    logger = logging.getLogger("auth_server")
    kept = logger.handlers, logger.level, logger.propagate
    try:
        logs.configure(Settings(pools=(), log_format=log_format, log_level="warning"))
        logging.getLogger("auth_server.app").info("started")
        logging.getLogger("auth_server.app").warning("refused")
    finally:
        logger.handlers, logger.level, logger.propagate = kept
    (line,) = stream.getvalue().splitlines()
    assert line.startswith("{") is is_json
    assert "refused" in line
