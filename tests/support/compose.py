"""The composed stack in a folder of its own, on free ports, as a user runs it."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from support import engine
from support.repository import ROOT
from support.shared_machine import free_port
from support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

IMAGE = "mcp-auth-server:test"
DEMO_IMAGE = f"{IMAGE}-demo"

COMPOSE, COMPOSE_1 = ("docker", "compose"), ("docker-compose",)

# What the environment of the test run must not lend to the stack.
_OURS = (
    "COGNITO_",
    "AWS_",
    "SECRET_KEY",
    "SCOPES_FILE",
    "GATEWAY_",
    "REGISTRY_URL",
    "ALLOWED_HOSTS",
    "COMPOSE_",
    "REVOCATION_URL",
)


def checkout(folder: Path) -> Path:
    """Put what a fresh clone would hold (and what is not committed yet) into a folder."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        source, target = ROOT / name, folder / name
        if source.exists() or source.is_symlink():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
    folder.chmod(0o755)
    return folder


@functools.cache
def build() -> None:
    """Build the images that all stacks of a run share."""
    with tempfile.TemporaryDirectory(prefix="compose-build-") as folder:
        Stack(checkout(Path(folder)), profiles=("demo",)).compose("build", timeout=400)


@dataclass(eq=False)
class Container:
    """One container as the engine describes it."""

    data: dict[str, Any]

    @property
    def service(self) -> str:
        """The service that it belongs to."""
        return str(self.data["Config"]["Labels"]["com.docker.compose.service"])

    @property
    def pid(self) -> int:
        """Its first process, as this machine numbers it; 0 while it does not run."""
        return int(self.data["State"]["Pid"])

    @property
    def health(self) -> str:
        """What its health check found; of one without such a check, its state (running, exited …)."""
        state = self.data["State"]
        return str((state.get("Health") or {}).get("Status") or state["Status"])

    @property
    def published(self) -> list[str]:
        """The ports that this machine opens for it."""
        ports = self.data["NetworkSettings"]["Ports"] or {}
        return [f"{b['HostIp']}:{b['HostPort']}" for bound in ports.values() for b in bound or []]

    @property
    def addresses(self) -> list[str]:
        """Its addresses on the engine's networks."""
        networks = self.data["NetworkSettings"]["Networks"] or {}
        return [net["IPAddress"] for net in networks.values() if net.get("IPAddress")]

    @property
    def gateways(self) -> list[str]:
        """This machine's addresses on those networks."""
        networks = self.data["NetworkSettings"]["Networks"] or {}
        return [net["Gateway"] for net in networks.values() if net.get("Gateway")]


@dataclass(eq=False)
class Stack:
    """A compose project."""

    folder: Path
    profiles: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    command: tuple[str, ...] = COMPOSE

    @property
    def base_url(self) -> str:
        """Where nginx is published."""
        return f"http://localhost:{self.port}"

    @property
    def project(self) -> str:
        """The project's name."""
        return f"test{self.port}"

    @property
    def environ(self) -> dict[str, str]:
        """The environment of its compose commands."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        return inherited | {
            "COMPOSE_PROJECT_NAME": self.project,
            "COMPOSE_IGNORE_ORPHANS": "1",
            "AUTH_SERVER_IMAGE": IMAGE,
            "GATEWAY_PORT": str(self.port),
            "GATEWAY_URL": self.base_url,
            **self.variables,
        }

    def compose(
        self, *arguments: str, check: bool = True, timeout: float = 200
    ) -> subprocess.CompletedProcess[str]:
        """Run a compose command to its end."""
        done = subprocess.run(
            [*self.command, *self._options(), *arguments],
            cwd=self.folder,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",  # nginx logs a path as it was sent
            timeout=timeout,
            check=False,
        )
        assert not check or done.returncode == 0, f"{arguments}: {done.stdout[-4000:]}{done.stderr[-4000:]}"
        return done

    def execute(self, service: str, *argv: str, check: bool = True) -> str:
        """Run a command in a service's container and return what it printed."""
        return self.compose("exec", "-T", service, *argv, check=check).stdout

    def up(self, *arguments: str) -> None:
        """Start, wait until every container is healthy."""
        build()
        self.compose("up", "-d", *arguments)
        self.wait_until_healthy()

    def down(self) -> None:
        """Stop and remove everything."""
        self.compose("down", "-v", timeout=60)

    def wait_until_healthy(self, *services: str, seconds: float = 60) -> float:
        """Wait for these services, or for all; return the seconds that it took."""
        start = time.monotonic()

        def healthy() -> bool:
            found = {c.service: c.health for c in self.containers() if not services or c.service in services}
            return (
                bool(found)
                and set(found.values()) <= {"healthy", "running"}
                and found.keys() >= set(services)
            )

        try:
            until(healthy, "every container is healthy", seconds=seconds, every=0.1)
        except AssertionError as error:
            states = {c.service: c.health for c in self.containers()}
            raise AssertionError(f"{error}: {states}\n{self.logs()[-4000:]}") from None
        return time.monotonic() - start

    def containers(self) -> list[Container]:
        """Return the project's containers, running or not."""
        wanted = json.dumps({"label": [f"com.docker.compose.project={self.project}"]})
        listed = engine.get(f"/v1.41/containers/json?all=1&filters={quote(wanted)}")
        described = (engine.get(f"/v1.41/containers/{c['Id']}/json", missing=None) for c in listed)
        return [
            Container(data) for data in described if data
        ]  # without those that compose replaced meanwhile

    def container(self, service: str) -> Container:
        """Return a service's container."""
        return next(container for container in self.containers() if container.service == service)

    def logs(self, *services: str) -> str:
        """Return what the containers printed, without compose's prefixes."""
        text = self.compose("logs", "--no-color", "--no-log-prefix", *services, check=False).stdout
        return text.replace(
            "\x1b[2K", ""
        )  # compose 2.26 clears the line before each, also where there is no terminal

    def _options(self) -> Iterator[str]:
        for file in ("docker-compose.yml", *self.files) if self.files else ():
            yield from ("-f", file)
        for profile in self.profiles:
            yield from ("--profile", profile)


# Makes a clone of the project, not yet started: `deploy(env=…, profiles=…)`.
Deploy = Callable[..., Stack]
