"""Each route is one that nginx knows of."""

import re
from types import SimpleNamespace
from typing import cast

import pytest

from auth_server import contract
from auth_server.config.settings import Settings
from auth_server.gateway import generated
from auth_server.web import Web, routes


def paths() -> list[str]:
    """Return a path for each route but the last, which takes what is nowhere."""
    web = cast("Web", SimpleNamespace(settings=Settings(pools=())))
    return [re.sub(r"\{[^}]*\}", "x", route.path) for route in routes(web)][:-1]


@pytest.mark.parametrize("path", paths())
def test_a_page_is_reached_through_nginx(path: str) -> None:
    """Each route has a place in contract.PAGES or PAGE_PREFIXES, and no MCP server can take its name."""
    (page,) = re.findall(r'location ~ "(\S+)" \{ include page.conf;', generated.files()["server.conf"])
    assert re.match(page, path)
    assert path == "/" or path.split("/")[1] in contract.RESERVED_SERVER_NAMES
