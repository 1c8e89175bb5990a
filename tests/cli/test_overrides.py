"""Options in the place of settings."""

import pytest

from auth_server.cli.errors import WrongUseError
from auth_server.cli.overrides import Overrides
from auth_server.errors import ConfigurationError, Mistake


@pytest.fixture
def overrides(monkeypatch: pytest.MonkeyPatch) -> Overrides:
    """Settings of which some are given as files."""
    for name in ("COGNITO_CLIENT_ID", "COGNITO_CLIENT_SECRET_FILE", "GATEWAY_URL_FILE", "REGISTRY_URL"):
        monkeypatch.setenv(name, "from the environment")
    monkeypatch.delenv("COGNITO_DOMAIN", raising=False)
    return Overrides()


def test_an_option_wins(overrides: Overrides) -> None:
    """An option stands for the setting however that was given; one that was not given changes nothing."""
    overrides.put("--client-id", "COGNITO_CLIENT_ID", None)
    assert overrides.environ["COGNITO_CLIENT_ID"] == "from the environment"
    overrides.put("--client-secret", "COGNITO_CLIENT_SECRET", "given")
    assert overrides.environ["COGNITO_CLIENT_SECRET"] == "given"
    assert "COGNITO_CLIENT_SECRET_FILE" not in overrides.environ


def test_the_gateway_has_two_names(overrides: Overrides) -> None:
    """--gateway stands for both, so that none of the environment's is left beside it."""
    overrides.put_gateway("https://gw.example")
    found = {
        name: value for name, value in overrides.environ.items() if name.startswith(("GATEWAY", "REGISTRY"))
    }
    assert found == {"GATEWAY_URL": "https://gw.example"}


def test_an_empty_option_is_wrong_use(overrides: Overrides) -> None:
    """Empty is not the same as absent."""
    with pytest.raises(WrongUseError, match=r"^--gateway is empty$"):
        overrides.put_gateway("")


def test_what_was_given(overrides: Overrides) -> None:
    """A setting is there by itself or as a file, until it is dropped."""
    assert overrides.has("COGNITO_CLIENT_ID")
    assert overrides.has("COGNITO_CLIENT_SECRET")
    overrides.drop("COGNITO_CLIENT_SECRET")
    assert not overrides.has("COGNITO_CLIENT_SECRET")


@pytest.mark.parametrize(("domain", "whole"), [("auth.example", True), ("http://x", True), ("prefix", False)])
def test_a_domain_of_its_own(overrides: Overrides, domain: str, whole: bool) -> None:
    """A host or a URL is a whole address; a prefix is one of Cognito's, and needs the pool's region."""
    assert not overrides.has_domain_of_its_own()
    overrides.put("--domain", "COGNITO_DOMAIN", domain)
    assert overrides.has_domain_of_its_own() is whole


def test_mistakes_name_what_was_written(overrides: Overrides) -> None:
    """A mistake in an option names the option, one in the environment the setting."""
    overrides.put("--client-secret-file", "COGNITO_CLIENT_SECRET_FILE", "/nowhere")
    with pytest.raises(ConfigurationError) as caught, overrides.named():
        raise ConfigurationError([Mistake("COGNITO_CLIENT_SECRET_FILE", "x"), Mistake("AWS_REGION", "y")])
    assert [str(mistake) for mistake in caught.value.mistakes] == ["--client-secret-file: x", "AWS_REGION: y"]
