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
    from wanimate_devstack import Stack

RECIPES: Final = Path(__file__).parents[2] / "docs" / "recipes"
PAGE: Final = (RECIPES / "README.md").read_text()


class Recipe:
    """Runs the commands of a recipe, in a folder of its own.

    Args:
        stack: What it enqueues into.
        folder: Where it stores its database.
    """

    def __init__(self, stack: Stack, folder: Path) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._port, self._folder = str(port), folder
        self._processes: list[Process] = []
        self._http: httpx.Client | None = None
        self._environment = {
            **stack.environment,
            "BACKEND_URL": self.url,
            "DJANGO_SETTINGS_MODULE": "shop.settings",
            "PYTHONPATH": os.pathsep.join([str(RECIPES), *filter(None, [os.environ.get("PYTHONPATH")])]),
        }

    def start(self, typed: str) -> Process:
        """Start what the page of the recipes has its reader type, at a free port."""
        assert f"$ {typed}" in PAGE.splitlines(), "the page has another command"
        name, *words = shlex.split(typed.replace("8000", self._port))
        words = [str(RECIPES / word) if (RECIPES / word).is_file() else word for word in words]
        log = self._folder / f"{name}{len(self._processes)}.log"
        command = [str(Path(sys.executable).parent / name), *words]
        process = Process(name, command, log, self._environment, self._folder)
        self._processes.append(process)
        return process

    def run(self, typed: str) -> None:
        """Run such a command to its end."""
        process = self.start(typed)
        eventually(lambda: not process.is_running, f"{typed} has ended")
        assert process.exit_code == 0, process.log_tail()

    def serve(self, typed: str) -> httpx.Client:
        """Start such a server, and return a client of it once it answers."""
        self._http = http = httpx.Client(base_url=self.url, trust_env=False, timeout=10)
        self.start(typed).wait_until(lambda: _answers(http), "ready")
        return http

    def rows(self, database: str, query: str) -> list[Any]:
        """Return what the recipe has stored."""
        with closing(sqlite3.connect(self._folder / database, timeout=10)) as connection:
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
