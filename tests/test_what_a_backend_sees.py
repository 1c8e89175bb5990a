"""docs/what-a-backend-sees.md names what contract.py names; what happens to each, tests/gateway/ shows."""

from __future__ import annotations

from urllib.parse import unquote

import pytest
from support.document import BACKEND, literal, names
from support.repository import ROOT

from auth_server import contract
from auth_server.gateway import generated
from auth_server.model import LISTS, List
from auth_server.relay import answers
from auth_server.validate import sessions

CLEARED, HIDDEN = BACKEND.tables("what", "names")


def in_config(file: str, directive: str) -> set[str]:
    """Return the headers that nginx's generated file names in this directive."""
    words = generated.files()[file].split()
    return {words[at + 1].rstrip(";") for at, word in enumerate(words) if word == directive}


def test_the_headers_that_tell_of_a_caller() -> None:
    """The first table has each of them, once, and no other."""
    rows = [literal(row[0]) for row in BACKEND.table("header", "what it says", "agent's token")]
    assert sorted(name.lower().encode() for name in rows) == sorted(contract.IDENTITY)


def test_what_never_arrives() -> None:
    """The table has all that nginx clears by the contract: a new name has to be told to backends as well."""
    told = [name.title() for row in CLEARED for name in names(row[1])]
    assert len(told) == len(set(told))
    assert set(contract.NEVER_PASSED) <= set(told)
    arriving = {
        literal(row[0]).title() for row in BACKEND.table("header", "what it says", "from") if "`" in row[0]
    }
    arriving |= {name.decode().title() for name in contract.IDENTITY}
    assert in_config("backend.conf", "proxy_set_header") - arriving == set(told) - {
        *("Authorization", "Origin"),  # in server.conf
        *("Connection", "Keep-Alive", "Te", "Upgrade", "Expect", "Transfer-Encoding"),  # nginx by itself
        *(name.title() for name in names(CLEARED[-1][1])),
    }


def test_the_cookies_that_never_arrive() -> None:
    """Those of the contract, with both of their names."""
    ours = {contract.SESSION_COOKIE, f"{contract.SIGN_IN_COOKIE}_*"}
    assert set(names(CLEARED[-1][1])) == ours | {f"__Host-{name}" for name in ours}


def test_what_does_not_come_back() -> None:
    """The tables have all that nginx hides by the contract, and what it answers instead."""
    told = [name.title() for row in HIDDEN for name in names(row[1])]
    assert len(told) == len(set(told))
    assert set(contract.NEVER_RETURNED) <= set(told)
    instead = {literal(header): literal(value) for header, value in BACKEND.table("header", "value")}
    assert instead == contract.ALWAYS_RETURNED
    accel = {name for name in told if name.startswith("X-Accel-")}  # nginx by itself
    hidden = in_config("answer.conf", "proxy_hide_header") | in_config("backend.conf", "proxy_hide_header")
    assert hidden - set(instead) - {"Mcp-Session-Id"} == set(told) - accel


def test_the_lists_that_are_cut() -> None:
    """The table is the relay's."""
    rows = BACKEND.table("request", "the list")
    assert {literal(row[0]): List(*map(literal, row[1:])) for row in rows} == LISTS


@pytest.mark.parametrize(("sent", "said"), BACKEND.table("sent", "is"))
def test_examples_of_values(sent: str, said: str) -> None:
    """The gateway writes them so, and they are read as the page says."""
    values = said.split(" · ")
    assert contract.encode_list(values, ",") == literal(sent)
    assert [unquote(value) for value in literal(sent).split(",")] == values


def test_figures() -> None:
    """Each bound that the page names is the code's."""
    text = " ".join(BACKEND.text.split())
    upstream = (ROOT / "nginx" / "upstream.conf").read_text()
    for said, bound in {
        "at most 4096 bytes": contract.MAX_TOOLS_BYTES == 4096,
        "above 16 MiB": answers.MAX_BYTES == 16 * 1024 * 1024,
        "1 to 1024 characters of visible ASCII": sessions.MAX_ID == 1024,
        "no connection within 5 s": "proxy_connect_timeout 5s;" in upstream,
        "nothing for an hour": "proxy_read_timeout 1h;" in upstream,
        "No request is sent to you twice": "proxy_next_upstream off;" in upstream,
        "the map `$mcp_forward_credentials`": "map $mcp_server $mcp_forward_credentials"
        in (ROOT / "nginx" / "servers.conf").read_text(),
    }.items():
        assert said in text
        assert bound, said


def test_the_programs() -> None:
    """There are three, and tests/gateway/test_backend_programs.py runs them."""
    assert [len(BACKEND.programs(language)) for language in ("python", "typescript")] == [2, 1]


def test_it_can_be_found() -> None:
    """README.md links it."""
    assert "](docs/what-a-backend-sees.md)" in (ROOT / "README.md").read_text()
