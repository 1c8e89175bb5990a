"""What people see: templates, one style sheet, one small script. No rules; what is shown comes as values."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

_FOLDER = Path(__file__).parent
_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class Asset:
    """A file that pages refer to. `path` changes with its content, so that browsers may keep it for good."""

    path: str
    media_type: str
    body: bytes = field(repr=False)


def render(template: str, **values: Any) -> str:
    """Return a page. Values are escaped; a name that is not given is an error, not an empty place."""
    return _environment().get_template(f"{template}.html").render(values)


@cache
def assets() -> dict[str, Asset]:
    """Return every asset by its file's name."""
    files = sorted((_FOLDER / "assets").iterdir())
    return {file.name: _asset(file) for file in files if file.suffix in _TYPES}


def _asset(file: Path) -> Asset:
    body = file.read_bytes()
    return Asset(f"/assets/{hashlib.sha256(body).hexdigest()[:12]}/{file.name}", _TYPES[file.suffix], body)


def _soft(name: str) -> Markup:
    """Return a long name with places where it may be broken, so that it stays a name on a phone."""
    from markupsafe import Markup, escape

    return Markup(re.sub(r"([_/.:-]+)", r"\1<wbr>", str(escape(name))))  # noqa: S704 - escaped first


def _sentence(message: str) -> str:
    """Return an error's message, which continues a line in a log, as people write a sentence."""
    return f"{message[:1].upper()}{message[1:]}{'' if message.endswith(('.', '?', '!')) else '.'}"


@cache
def _environment() -> Environment:
    # Here, so that a sidecar that shows no page does not load the engine.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["soft"] = _soft
    environment.filters["sentence"] = _sentence
    environment.globals["asset"] = lambda name: assets()[name].path
    return environment
