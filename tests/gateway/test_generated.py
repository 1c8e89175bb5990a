"""nginx/generated/ says what contract.py, errors.py and responses.py say, and nginx's own files use nothing else."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from auth_server import contract
from auth_server.errors import ErrorCode
from auth_server.gateway import generated
from auth_server.gateway.nginx import nginx_folder
from auth_server.validate import request

FOLDER = nginx_folder() / "generated"
WRITTEN = [path.read_text() for path in sorted(nginx_folder().glob("*.conf"))]


def text(name: str) -> str:
    """Return one of the files, as it is committed."""
    return (FOLDER / name).read_text()


def titles(names: tuple[bytes, ...] | dict[bytes, str]) -> list[str]:
    return [name.decode().title() for name in names]


def test_the_files_are_those_that_would_be_written() -> None:
    """Byte for byte: whoever changes a name in the contract generates them anew."""
    committed = {path.name: path.read_text() for path in FOLDER.iterdir()}
    assert committed == generated.files(), "run: python -m auth_server.gateway.generated"


def test_the_command_writes_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them, and nothing else."""
    (tmp_path / "generated").mkdir()
    monkeypatch.setattr(generated, "nginx_folder", lambda: tmp_path)
    generated.main()
    assert {path.name: path.read_text() for path in (tmp_path / "generated").iterdir()} == generated.files()


@pytest.mark.parametrize("name", contract.SAID_BY_NGINX)
def test_what_nginx_says_it_says_with_every_question(name: bytes) -> None:
    """Set from nginx's own variable, so that a client's header of that name is overwritten."""
    said = f"proxy_set_header {name.decode().title()} {contract.SAID_BY_NGINX[name]};"
    assert said in text("sidecar.conf")


@pytest.mark.parametrize("name", [*contract.IDENTITY, *contract.TO_NGINX])
def test_what_the_sidecar_says_nginx_takes(name: bytes) -> None:
    """One variable each, and no two of the same name."""
    variable = re.search(rf"\$(\w+) \$upstream_http_{name.decode().replace('-', '_')};", text("server.conf"))
    assert variable is not None
    assert text("server.conf").count(f"auth_request_set ${variable[1]} ") == 1


@pytest.mark.parametrize("title", titles(contract.IDENTITY))
def test_a_backend_gets_every_identity_header_from_the_sidecar(title: str) -> None:
    """Overwritten, also with nothing."""
    (value,) = re.findall(rf"proxy_set_header {title} (\S+);", text("backend.conf"))
    variable = re.escape(value)
    assert re.search(rf"{variable} \$upstream_http_{title.lower().replace('-', '_')};", text("server.conf"))


@pytest.mark.parametrize(
    "title",
    [
        *contract.NEVER_PASSED,
        *(t for t in titles((*contract.TO_NGINX, *contract.SAID_BY_NGINX)) if t.startswith("X-")),
    ],
)
def test_a_backend_gets_no_header_that_others_would_trust(title: str) -> None:
    """Nor what was meant for this gateway alone; the request's id, and the relay's ticket, nginx sets itself."""
    is_cleared = f'proxy_set_header {title} "";' in text("backend.conf")
    assert is_cleared is (title not in {"X-Request-Id", "X-Relay"})


def test_no_header_is_set_twice() -> None:
    """nginx would send both."""
    for name in ("backend.conf", "sidecar.conf", "answer.conf"):
        found = re.findall(r"(?:proxy_set|add)_header (\S+)", text(name))
        assert found
        assert len(found) == len({title.lower() for title in found})


@pytest.mark.parametrize(
    "title",
    [
        *contract.NEVER_RETURNED,
        *contract.ALWAYS_RETURNED,
        *(t for t in titles((*contract.TO_NGINX, *contract.IDENTITY)) if t.startswith("X-Auth-")),
    ],
)
def test_a_backend_says_nothing_of_these(title: str) -> None:
    """Each is hidden once, also what each answer carries instead."""
    assert re.findall(rf"proxy_hide_header {title};", text("answer.conf")) == [f"proxy_hide_header {title};"]
    assert (f"add_header {title} " in text("answer.conf")) is (title in contract.ALWAYS_RETURNED)


def test_every_variable_that_nginx_uses_is_set() -> None:
    """What the hand-written files read of a decision, the generated one takes from the sidecar's answer."""
    taken = set(re.findall(r"auth_request_set (\$auth_\w+)", text("server.conf")))
    used = {
        variable for conf in [*WRITTEN, text("server.conf")] for variable in re.findall(r"\$auth_\w+", conf)
    }
    assert used <= taken


def errors() -> list[tuple[str, int, str]]:
    """Return nginx's own errors: location, status and body."""
    pattern = r"location (= )?(\S+) \{[^}]*?return (\d+) '([^\n]+)'; \}\n"
    return [(place, int(status), body) for _, place, status, body in re.findall(pattern, text("server.conf"))]


def test_every_own_error_was_found() -> None:
    """The next tests look at all of them."""
    assert {place for place, *_ in errors()} == {key.removeprefix("= ") for key in generated._OWN_ERRORS}


@pytest.mark.parametrize(("place", "status", "body"), errors(), ids=[place for place, *_ in errors()])
def test_nginxs_own_errors_are_the_contracts(place: str, status: int, body: str) -> None:
    """The same body as the sidecar's, with a code of the contract, in body and header alike."""
    filled = body.replace("$mcp_timestamp", "2026-01-01T00:00:00Z").replace("$request_id", "f" * 32)
    assert "$" not in filled
    message = json.loads(filled)
    assert (message["jsonrpc"], message["id"], message["success"]) == ("2.0", None, False)
    code = ErrorCode(message["error"]["details"]["error_code"])
    location = text("server.conf").partition(f"{place} {{")[2].partition("'; }\n")[0]
    assert f'X-Auth-Error "{code.value}" always;' in location
    assert "Cache-Control no-store always;" in location
    assert ("Retry-After" in location) is (status == 503)
    assert ("Allow" in location) is (status == 405)


def test_every_error_page_has_a_place() -> None:
    """What nginx's files send a status to is a location of theirs."""
    confs = "".join([*WRITTEN, text("server.conf")])
    named = set(re.findall(r"error_page [^;]*= (\S+);", confs))
    assert named
    assert named <= {f"{place}" for place in re.findall(r"location (?:= )?(\S+) \{", confs)}


def location_of(path: str) -> str:
    """Return what nginx includes for a path: expressions in their order, the first that fits."""
    found = re.findall(r'location ~ "(.+)" \{ include (\S+);', text("server.conf"))
    expressions = [(expression.replace("(?<", "(?P<"), include) for expression, include in found]
    return next((include for expression, include in expressions if re.search(expression, path)), "")


@pytest.mark.parametrize(
    "path",
    [
        "/",
        contract.SESSION,
        contract.LOGIN,
        contract.CALLBACK,
        contract.LOGOUT,
        f"{contract.ASSETS}abc/x.css",
        f"{contract.WELL_KNOWN}protected-resource/time/mcp",
    ],
)
def test_the_sidecars_pages_come_before_servers(path: str) -> None:
    """No server can take their place."""
    assert location_of(path) == "page.conf"
    assert path == "/" or path.startswith("/.") or path.split("/")[1] in contract.RESERVED_SERVER_NAMES


@pytest.mark.parametrize("name", ["time", "a", "0.b_c-d", "a" * 128, "sessions", "assetsx"])
def test_a_servers_name_is_the_first_segment(name: str) -> None:
    """With or without something after it, by the contract's grammar."""
    assert location_of(f"/{name}") == location_of(f"/{name}/mcp") == "mcp.conf"
    assert re.fullmatch(contract.SERVER_NAME_PATTERN, name)


@pytest.mark.parametrize("path", ["/Time/mcp", "/-a", "/" + "a" * 129, "/a b", "/.well-known/x", "/é"])
def test_what_is_no_servers_name_leads_nowhere(path: str) -> None:
    """nginx answers 404 by itself."""
    assert location_of(path) == ""


def test_nginxs_own_paths_are_no_servers() -> None:
    """A location of the hand-written files is under a name that no server may have."""
    own = {path.split("/")[1] for conf in WRITTEN for path in re.findall(r"location = (/\S+)", conf)}
    assert own <= contract.RESERVED_SERVER_NAMES


def test_the_bound_above_which_is_asked_first() -> None:
    """The expression over Content-Length in http.conf means UNASKED_BYTES, rounded down to what digits can say."""
    conf = (nginx_folder() / "http.conf").read_text()
    (expression,) = re.findall(r'"~\\A(\(\?:[^"]+\))\\z" "";', conf)
    largest = max(number for number in range(200_000) if re.fullmatch(expression, str(number)))
    assert contract.UNASKED_BYTES - 1000 < largest <= contract.UNASKED_BYTES
    assert all(re.fullmatch(expression, str(number)) for number in range(0, largest + 1, 7))
    assert re.fullmatch(expression, "")
    assert not any(re.fullmatch(expression, odd) for odd in ("chunked", "-1", "+1", " 1", "1e2", "000000"))


def test_the_methods_are_those_that_are_judged() -> None:
    """nginx's own 405 names them."""
    assert f'Allow "{", ".join(request.METHODS)}"' in text("server.conf")
