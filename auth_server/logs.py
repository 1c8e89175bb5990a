"""One line per event, as JSON for machines or as plain text for a terminal."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from auth_server.config.settings import Settings

_ENCODER = json.JSONEncoder(default=str)


class JsonLines(logging.Formatter):
    """A record as one JSON object: time, level, event, and the event's own fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; never a traceback with local values, never more than the record's own fields."""
        return _ENCODER.encode(_entry(record))


class Console(logging.Formatter):
    """A record as `time level event key=value …`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        entry = _entry(record)
        head = " ".join(str(entry.pop(key)) for key in ("time", "level", "event"))
        return " ".join([head, *(f"{key}={value}" for key, value in entry.items())])


def configure(settings: Settings) -> None:
    """Send this product's log to standard error, as LOG_FORMAT and LOG_LEVEL say.

    Without a format: console on a terminal, json elsewhere.
    """
    console = settings.log_format == "console" or (not settings.log_format and sys.stderr.isatty())
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Console() if console else JsonLines())
    for name in ("auth_server", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(settings.log_level.upper())
        logger.propagate = False


def _entry(record: logging.LogRecord) -> dict[str, object]:
    stamp = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    entry: dict[str, object] = {
        "time": stamp.replace("+00:00", "Z"),
        "level": record.levelname.lower(),
        "event": record.getMessage(),
    }
    if record.exc_info and record.exc_info[0]:
        entry["exception"] = record.exc_info[0].__name__
    return entry | getattr(record, "fields", {})
