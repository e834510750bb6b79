"""The composition as a newcomer starts it: from a copy of the sources, under a project name of its own."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
SOURCES = (
    ".dockerignore",
    ".env.example",
    "docker-compose.yml",
    "pyproject.toml",
    "uv.lock",
    "deploy",
    "producer",
    "worker",
    "simulator",
    "devstack",
)
CAP = 20
#: Longer than anything takes on a busy machine, a build left out; seconds.
PATIENCE_SECONDS = 120.0


class Composition:
    """A project of Compose in a folder of its own.

    Args:
        folder: An empty folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.project = f"wanimate-test-{secrets.token_hex(4)}"
        self.api_key = secrets.token_hex(24)
        self.ports = dict(zip(("callbacks", "ops", "flower"), free_ports(3), strict=True))
        # The caller's own settings must not reach the composition.
        self._environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("WANIMATE_", "COMPOSE_"))
        } | {"COMPOSE_PROJECT_NAME": self.project, "COMPOSE_ANSI": "never", "DOCKER_BUILDKIT": "1"}
        self.tags = [f"{self.project}:{number}" for number in (1, 2)]
        self.simulator_tag = f"{self.project}-simulator:1"

    def make(self) -> None:
        """Copy the sources and make `.env` and the secrets, as the documentation says."""
        for name in SOURCES:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, self.folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
            else:
                shutil.copy(source, self.folder / name)
        shutil.copy(Path(__file__).with_name("docker-compose.override.yml"), self.folder)
        self.run("sh", "deploy/make-secrets.sh")
        key_file = self.folder / "secrets" / "wanimate_api_key"
        key_file.chmod(0o644)
        key_file.write_text(self.api_key)
        self.set_environment(
            WANIMATE_IMAGE=self.tags[0],
            WANIMATE_SIMULATOR_IMAGE=self.simulator_tag,
            WANIMATE_MAX_IN_FLIGHT=str(CAP),
            WANIMATE_UNKNOWN_AFTER_SECONDS="40",
            WANIMATE_WEBHOOK_URL="http://receiver:8080/ends",
            WANIMATE_WEBHOOK_NETWORKS="10.0.0.0/8,172.16.0.0/12,192.168.0.0/16",
            **{f"{name.upper()}_PORT": str(port) for name, port in self.ports.items()},
        )

    def set_environment(self, **values: str) -> None:
        """Add lines to `.env`; the last one of a name counts."""
        with (self.folder / ".env").open("a") as file:
            file.writelines(f"{name}={value}\n" for name, value in values.items())

    def secret(self, name: str) -> str:
        """Return what is in a file of secrets."""
        return (self.folder / "secrets" / name).read_text().strip()

    def secrets(self) -> dict[str, str]:
        """Return what must be found nowhere: each secret by its name, passwords without their user or URL."""
        names = [path.name for path in (self.folder / "secrets").iterdir() if path.name != "wanimate_redis_url"]
        return {name: self.secret(name).rpartition(":")[2] for name in names}

    # -- commands ----------------------------------------------------------------------------------------------------

    def run(self, *command: str, stdin: str | None = None, timeout_seconds: float = 300) -> str:
        """Run a command in the folder and return its output; fail with what it said."""
        ended = subprocess.run(
            command,
            cwd=self.folder,
            env=self._environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
            check=False,
        )
        assert ended.returncode == 0, f"{' '.join(command)}: {ended.returncode}\n{ended.stdout}\n{ended.stderr}"
        return ended.stdout

    def compose(self, *arguments: str, **options: Any) -> str:
        """Run `docker compose`."""
        return self.run("docker", "compose", *arguments, **options)

    def start(self, *command: str) -> subprocess.Popen[str]:
        """Start a command in the folder and return at once."""
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def build_another_image(self) -> None:
        """Build the image of workers once more, so that it is another one, under the second tag."""
        build = ("docker", "build", "-f", "deploy/Dockerfile", "--build-arg", "VERSION=0.1.1", "-t", self.tags[1], ".")
        self.run(*build, timeout_seconds=800)

    def containers(self, service: str = "") -> list[str]:
        """Return the ids of the containers that run, of one service or of all."""
        return self.compose("ps", "--quiet", *([service] if service else [])).split()

    def product_containers(self) -> list[str]:
        """Return the containers that run the product, the simulator and Redis left out."""
        return [each["Id"] for each in self.inspect(*self.containers()) if each["Config"]["Image"] in self.tags]

    def images(self) -> list[str]:
        """Return the tags of the images that were built."""
        return [*self.tags, self.simulator_tag]

    def memory(self) -> str:
        """Return how much memory each container takes."""
        table = ("docker", "stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}}")
        lines = self.run(*table, *self.containers()).splitlines()
        return ", ".join(line.removeprefix(f"{self.project}-").partition(" / ")[0] for line in sorted(lines))

    def all_containers(self) -> list[str]:
        """Return the ids of all containers of the project, those that have ended included."""
        return self.run("docker", "ps", "-aq", "--filter", f"label=com.docker.compose.project={self.project}").split()

    def inspect(self, *ids: str) -> list[dict[str, Any]]:
        """Return what the engine knows of containers or images."""
        return json.loads(self.run("docker", "inspect", *ids)) if ids else []

    def port(self, service: str, port: int) -> int:
        """Return the port of this machine that leads to a service's."""
        return int(self.compose("port", service, str(port)).strip().rpartition(":")[2])

    def answers(self, container: str) -> bool:
        """Whether what runs in a container says that it is well."""
        asked = ("docker", "exec", container, "wanimate-health")
        return subprocess.run(asked, capture_output=True, check=False).returncode == 0

    # -- afterwards --------------------------------------------------------------------------------------------------

    def remove(self) -> None:
        """Remove everything that was made: containers, networks, volumes, images with our tags."""
        tidy = ["docker", "compose", "--profile", "*", "down", "--volumes", "--remove-orphans", "--timeout", "2"]
        for command in (tidy, ["docker", "image", "rm", "--force", *self.images()]):
            subprocess.run(
                command, cwd=self.folder, env=self._environment, capture_output=True, timeout=180, check=False
            )
        left = self.leftovers()
        assert not left, f"left behind: {left}"

    def leftovers(self) -> list[str]:
        """Return what the engine still has of this project."""
        label = ("--filter", f"label=com.docker.compose.project={self.project}")
        return [
            *self.all_containers(),
            *self.run("docker", "network", "ls", "-q", *label).split(),
            *self.run("docker", "volume", "ls", "-q", *label).split(),
            *self.run("docker", "image", "ls", "-q", f"{self.project}*").split(),
        ]


def free_ports(count: int) -> Iterator[int]:
    """Yield ports of loopback that nobody listens on."""
    held = [socket.socket() for _ in range(count)]
    try:
        for each in held:
            each.bind(("127.0.0.1", 0))
        yield from [each.getsockname()[1] for each in held]
    finally:
        for each in held:
            each.close()


def eventually(look: Callable[[], Any], what: str, within_seconds: float = PATIENCE_SECONDS) -> Any:
    """Look until the answer is true, and return it; fail when the deadline passes."""
    deadline = time.monotonic() + within_seconds
    while not (answer := look()):
        assert time.monotonic() < deadline, f"not within {within_seconds:.0f} s: {what}"
        time.sleep(0.2)
    return answer
