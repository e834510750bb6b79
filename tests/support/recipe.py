"""A recipe of the docs, run as its page has its reader run it."""

from __future__ import annotations

import os
import shlex
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx
from harness import eventually
from wanimate_devstack import Process, free_port

if TYPE_CHECKING:
    from collections.abc import Mapping

RECIPES: Final = Path(__file__).parents[2] / "docs" / "recipes"
#: The pages that have the commands of recipes.
PAGES: Final = [RECIPES / "README.md", *(RECIPES.parent / name for name in ("local-files.md", "testing.md"))]
PAGE: Final = "\n".join(page.read_text() for page in PAGES)


class Recipe:
    """Runs the commands of a recipe, in a folder of its own.

    Args:
        variables: What it reads of its environment.
        folder: Where it stores its database.
    """

    def __init__(self, variables: Mapping[str, str], folder: Path) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.folder = folder
        self._port = str(port)
        self._processes: list[Process] = []
        self._http: httpx.Client | None = None
        self.environment = {
            **variables,
            "BACKEND_URL": self.url,
            "PYTHONPATH": os.pathsep.join([str(RECIPES), *filter(None, [os.environ.get("PYTHONPATH")])]),
        }

    def hide(self, module: str) -> None:
        """Make a module impossible to import for the processes that it starts."""
        hidden = self.folder / "hidden"
        hidden.mkdir()
        (hidden / f"{module}.py").write_text(f"raise ModuleNotFoundError('No module named {module}')\n")
        self.environment["PYTHONPATH"] = os.pathsep.join([str(hidden), self.environment["PYTHONPATH"]])

    def start(self, typed: str, **replaced: str) -> Process:
        """Start what a page has its reader type, at a free port.

        Args:
            typed: The command.
            replaced: Words of it that are replaced, as the page says that they may be.
        """
        assert f"$ {typed}" in PAGE.splitlines(), "the page has another command"
        for word, other in replaced.items():
            typed = typed.replace(word, other)
        name, *words = shlex.split(typed.replace("8000", self._port))
        words = [str(RECIPES / word) if (RECIPES / word).is_file() else word for word in words]
        log = self.folder / f"{name}{len(self._processes)}.log"
        command = [str(Path(sys.executable).parent / name), *words]
        process = Process(name, command, log, self.environment, self.folder)
        self._processes.append(process)
        return process

    def run(self, typed: str, **replaced: str) -> None:
        """Run such a command to its end."""
        process = self.start(typed, **replaced)
        eventually(lambda: not process.is_running, f"{typed} has ended")
        assert process.exit_code == 0, process.log_tail()

    def serve(self, typed: str) -> httpx.Client:
        """Start such a server, and return a client of it once it answers."""
        self._http = http = httpx.Client(base_url=self.url, trust_env=False, timeout=10)
        self.start(typed).wait_until(lambda: _answers(http), "ready")
        return http

    def log(self, name: str) -> str:
        """Return what the processes of a program have written."""
        return "".join(path.read_text() for path in sorted(self.folder.glob(f"{name}*.log")))

    def rows(self, database: str, query: str) -> list[Any]:
        """Return what the recipe has stored."""
        with closing(sqlite3.connect(self.folder / database, timeout=10)) as connection:
            try:
                return connection.execute(query).fetchall()
            except sqlite3.OperationalError:  # it has not made its table yet
                return []

    def stop(self) -> None:
        """Stop its processes."""
        if self._http is not None:
            self._http.close()
        for process in self._processes:
            process.stop()


def _answers(http: httpx.Client) -> bool:
    try:
        http.get("/")
    except httpx.HTTPError:
        return False
    return True
