"""What nginx is told of names, errors and paths is what the package says of them."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from support.repository import ROOT

from auth_server import contract
from auth_server.config.settings import Settings
from auth_server.gateway import generated
from auth_server.web import Web, routes

FILES = generated.files()
FOLDER = ROOT / "nginx" / "generated"


@pytest.mark.parametrize("name", FILES)
def test_the_committed_file_is_what_would_be_written(name: str) -> None:
    """Whoever changes a name, an error or an answer runs `make generated`."""
    assert (FOLDER / name).read_text() == FILES[name]


def test_nothing_else_is_there() -> None:
    """No file stays behind that nobody writes any more."""
    assert {path.name for path in FOLDER.iterdir()} == set(FILES)


def test_no_header_is_both_passed_and_cleared() -> None:
    """Of two directives for one name nobody knows which counts."""
    names = re.findall(r"proxy_set_header (\S+)", FILES["backend.conf"])
    assert len(set(names)) == len(names)


def paths() -> list[str]:
    """Return a path for each route but the last, which takes what is nowhere."""
    web = cast("Web", SimpleNamespace(settings=Settings(pools=())))
    return [re.sub(r"\{[^}]*\}", "x", route.path) for route in routes(web)][:-1]


@pytest.mark.parametrize("path", paths())
def test_a_page_is_reached_through_nginx(path: str) -> None:
    """Each route has a place in contract.PAGES or PAGE_PREFIXES, and no MCP server can take its name."""
    pages = re.findall(r'location ~ "(\S+)" \{\n    include page.conf;', FILES["server.conf"])
    assert [bool(re.match(page, path)) for page in pages] == [True]
    assert path == "/" or path.split("/")[1] in contract.RESERVED_SERVER_NAMES


def test_they_are_written_where_nginx_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`make generated` writes each file beside the ones that include it."""
    (tmp_path / "generated").mkdir()
    monkeypatch.setattr(generated, "nginx_folder", lambda: tmp_path)
    generated.main()
    assert {path.name: path.read_text() for path in (tmp_path / "generated").iterdir()} == FILES
