"""Cognito as it signs people in; tests/web and tests/cli go the whole way with it."""

import pytest

from auth_server.model import Pool
from auth_server.oauth import provider


@pytest.mark.parametrize(
    ("issuer", "url"),
    [
        ("https://cognito-idp.eu-west-1.amazonaws.com/p", "https://cognito-idp.eu-west-1.amazonaws.com/"),
        (
            "https://issuer-cognito-idp.eu-west-1.amazonaws.com/p",
            "https://cognito-idp.eu-west-1.amazonaws.com/",
        ),
        ("http://localhost:9000/p", "http://localhost:9000/"),
    ],
)
def test_where_the_api_is(issuer: str, url: str) -> None:
    """The API of a pool is beside its issuer, in AWS and in the stand-in."""
    assert provider.api_url(Pool("eu-west-1_p", "eu-west-1", (issuer,), "")) == url
