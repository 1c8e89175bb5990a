"""Where nginx listens and how large it may be, as gateway and demo are told."""

import argparse

import pytest

from auth_server.cli import nginx_options
from auth_server.config.settings import Settings


def parsed(*words: str) -> argparse.Namespace:
    """Return what the options say."""
    parser = argparse.ArgumentParser(exit_on_error=False)
    nginx_options.add_listen(parser)
    nginx_options.add_sizes(parser)
    return parser.parse_args(words)


@pytest.mark.parametrize(
    ("listen", "kept", "url"),
    [
        ("127.0.0.1:8080", "127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("gw.example:80", "gw.example:80", "http://gw.example:80"),
        ("[::1]:8080", "[::1]:8080", "http://[::1]:8080"),
        ("0.0.0.0:8080", "0.0.0.0:8080", "http://localhost:8080"),
        ("[::]:8080", "[::]:8080", "http://localhost:8080"),
        ("*:8080", "*:8080", "http://localhost:8080"),
        (":8080", "8080", "http://localhost:8080"),
    ],
)
def test_an_address(listen: str, kept: str, url: str) -> None:
    """An address is nginx's; the URL that leads there from this machine names localhost for all of them."""
    assert parsed("--listen", listen).listen == kept
    assert nginx_options.url_of(kept) == url


@pytest.mark.parametrize(
    "words",
    [
        *(
            ("--listen", text)
            for text in ("here", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:65536", "a;b:80", "::1:80")
        ),
        *(("--nginx-workers", text) for text in ("0", "many", "")),
        ("--workers", "0"),
    ],
)
def test_what_nginx_would_not_take(words: tuple[str, str]) -> None:
    """What could be no address or number of workers never gets into a configuration."""
    with pytest.raises(argparse.ArgumentError):
        parsed(*words)


def test_the_plan() -> None:
    """What is asked for is planned; without options, one worker of the sidecar and as many of nginx as it likes."""
    settings = Settings(pools=(), max_body_size=512 * 1024)
    plan = nginx_options.plan(parsed("--nginx-workers", "2"), [], settings)
    assert (plan.listen, plan.workers, plan.nginx_workers) == ("127.0.0.1:8080", 1, "2")
    assert plan.settings is settings
    assert parsed().nginx_workers == "auto"
