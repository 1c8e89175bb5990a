"""Where the session that `login` keeps is, and whose gateway it is."""

import argparse
from pathlib import Path

import pytest

from auth_server.cli import saved_session
from auth_server.errors import ConfigurationError


def parsed(*words: str) -> argparse.Namespace:
    """Return what the options say."""
    parser = argparse.ArgumentParser(exit_on_error=False)
    saved_session.add_options(parser)
    return parser.parse_args(words)


def test_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cookie is kept in the person's home, or where they say."""
    monkeypatch.setenv("HOME", "/home/uma")
    assert saved_session.cookie_file(parsed()) == Path("/home/uma/.mcp/session_cookie")
    assert saved_session.cookie_file(parsed("--cookie-file", "~/mine")) == Path("/home/uma/mine")
    assert saved_session.cookie_file(parsed("--cookie-file", "/tmp/mine")) == Path("/tmp/mine")


def test_the_gateway(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The option stands before the environment; a gateway that is not near and not https is warned of."""
    monkeypatch.setenv("GATEWAY_URL", "https://gw.example/")
    assert saved_session.gateway_url(parsed()) == "https://gw.example"
    assert saved_session.gateway_url(parsed("--gateway", "http://localhost:8080")) == "http://localhost:8080"
    assert capsys.readouterr().err == ""
    assert saved_session.gateway_url(parsed("--gateway", "http://gw.example")) == "http://gw.example"
    assert "your session travels in clear text" in capsys.readouterr().err


def test_a_gateway_that_is_no_url(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mistake names what the person wrote: the option, or the setting."""
    with pytest.raises(ConfigurationError) as of_option:
        saved_session.gateway_url(parsed("--gateway", "gateway"))
    assert of_option.value.mistakes[0].place == "--gateway"
    monkeypatch.setenv("GATEWAY_URL", "gateway")
    with pytest.raises(ConfigurationError) as of_setting:
        saved_session.gateway_url(parsed())
    assert of_setting.value.mistakes[0].place == "GATEWAY_URL"
