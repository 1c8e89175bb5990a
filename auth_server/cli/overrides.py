"""Options that stand for settings: they win over the environment, and a mistake in one names the option."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from auth_server.cli.errors import WrongUseError
from auth_server.config.settings import environment
from auth_server.errors import ConfigurationError, Mistake

if TYPE_CHECKING:
    from collections.abc import Iterator


class Overrides:
    """The environment and `.env`, with options in the place of settings. A bad `.env`: ConfigurationError."""

    def __init__(self) -> None:
        self.environ = environment()
        self._options: dict[str, str] = {}

    def put(self, option: str, setting: str, value: str | None) -> None:
        """Let an option, if given, stand for NAME or NAME_FILE; raises WrongUseError where it is empty."""
        if value is None:
            return
        if not value:
            raise WrongUseError(f"{option} is empty")
        name = setting.removesuffix("_FILE")
        self.drop(name)
        self.environ[setting] = value
        self._options[setting] = self._options[name] = option

    def put_gateway(self, value: str | None) -> None:
        """Let `--gateway` stand for the gateway's URL, by whichever name the environment has it."""
        self.put("--gateway", "GATEWAY_URL", value)
        if value is not None:
            self.drop("REGISTRY_URL")

    def drop(self, name: str) -> None:
        """Forget a setting, however it was given."""
        self.environ.pop(name, None)
        self.environ.pop(f"{name}_FILE", None)

    def has(self, name: str) -> bool:
        """Say whether a setting was given, itself or as a file."""
        return not {name, f"{name}_FILE"}.isdisjoint(self.environ)

    def has_domain_of_its_own(self) -> bool:
        """Say whether COGNITO_DOMAIN is a whole address; a prefix of Cognito's needs the pool as well."""
        domain = self.environ.get("COGNITO_DOMAIN", "")
        return "." in domain or "://" in domain

    @contextlib.contextmanager
    def named(self) -> Iterator[None]:
        """Let mistakes that are raised within name what the reader wrote: the option, where it was one."""
        try:
            yield
        except ConfigurationError as error:
            mistakes = [Mistake(self._options.get(m.place, m.place), m.message) for m in error.mistakes]
            raise ConfigurationError(mistakes) from None
