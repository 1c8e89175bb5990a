"""The files that the containers are made from, as far as they can be judged without a container engine."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from support.repository import ROOT

from auth_server.config.settings import SETTINGS

EXAMPLE = (ROOT / ".env.example").read_text()
OURS, _, COMPOSE_ONLY = EXAMPLE.partition("# ---- For docker-compose.yml alone")
COMPOSE = (ROOT / "docker-compose.yml").read_text()
# Read by the sidecar from .env itself, for an environment is shown to whoever may list it.
SECRET = {"SECRET_KEY", "COGNITO_CLIENT_SECRET", "REVOCATION_URL"}
# What the example shows both ways.
BY_FILE = {"SECRET_KEY_FILE", "COGNITO_CLIENT_SECRET_FILE"}


def entries(text: str) -> list[tuple[str, str, str]]:
    """Return (comment, name, value) of each variable; a line NAME_FILE= belongs to what follows."""
    found = re.findall(r"((?:^# .*\n)+)((?:^#?[A-Z_]+=.*\n)+)", text, re.MULTILINE)
    return [
        (re.sub(r"^# ", "", comment, flags=re.MULTILINE).strip(), *line.removeprefix("#").split("=", 1))
        for comment, lines in found
        for line in lines.splitlines()
        if line.partition("=")[0].removeprefix("#") not in BY_FILE
    ]


def test_the_example_has_every_setting_in_order() -> None:
    """.env.example lists exactly the settings, in the order of the README's table, each with its meaning."""
    found = entries(OURS)
    assert [name for _, name, _ in found] == [setting.name for setting in SETTINGS]
    for (comment, name, _), setting in zip(found, SETTINGS, strict=True):
        assert comment.startswith(setting.meaning), name


def test_the_example_shows_defaults() -> None:
    """A value in .env.example is the default, so that copying the file changes nothing."""
    shown = {name: value for _, name, value in entries(OURS) if value}
    assert shown.items() <= {setting.name: setting.default for setting in SETTINGS}.items()


def test_compose_hands_on_every_setting() -> None:
    """docker-compose.yml gives the sidecar every setting, but secrets, which the sidecar reads by itself."""
    services = yaml.safe_load(COMPOSE)["services"]
    for service in ("auth-server", "auth-server-2"):
        expected = [setting.name for setting in SETTINGS if setting.name not in SECRET]
        assert [name for name in services[service]["environment"] if "=" not in name] == expected


def test_the_example_has_what_compose_asks_for() -> None:
    """Every other variable of docker-compose.yml is in .env.example, with the default it has there."""
    asked = dict(re.findall(r"\$\{([A-Z_]+):-([^}]*)\}", COMPOSE))
    told = {name: value for _, name, value in entries(COMPOSE_ONLY)}
    assert told == {name: value for name, value in asked.items() if name not in {s.name for s in SETTINGS}}


def test_the_dockerfile_is_clean() -> None:
    """Hadolint has nothing to say."""
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


@pytest.mark.parametrize("script", ["container-entrypoint", "nginx-start"])
def test_the_scripts_are_shell(script: str) -> None:
    """What a container runs first is at least well formed."""
    done = subprocess.run(["sh", "-n", ROOT / "deploy" / script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
