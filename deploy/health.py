#!/opt/wanimate/bin/python
"""Whether what this container runs answers: the health check of the image, for each of its commands.

What runs is read from the arguments of the first process. Exit code 0 if it answers, or if it is a command that serves
nothing; else 1.
"""

from __future__ import annotations

import http.client
import os
import socket
import sys
from pathlib import Path

#: Where each serves whom; the port is that of `--port`, if it is given. None asks for no password here.
HTTP = {"callbacks": (8000, "/health"), "ops": (8001, "/health"), "flower": (5555, "/healthcheck")}
#: What each calls itself in Celery's remote control.
CELERY = {"worker": "celery", "beat": "celerybeat"}
#: How long an answer may take, in seconds; the image's HEALTHCHECK waits a little longer.
TIMEOUT_SECONDS = 10


def main() -> int:
    """Ask, and return the exit code."""
    words = Path("/proc/1/cmdline").read_text().split("\0")
    for word in words:
        if word in HTTP:
            return ask_http(*HTTP[word], words)
        if word in CELERY:
            node = f"{CELERY[word]}@{socket.gethostname()}"
            ping = ["celery", "-A", "wanimate_worker", "inspect", "ping", "-d", node, "-t", str(TIMEOUT_SECONDS)]
            os.execvp(ping[0], ping)  # noqa: S606 - a fixed command, from the image
    return 0


def ask_http(port: int, path: str, words: list[str]) -> int:
    """Ask a server in this container.

    Args:
        port: Where it listens if its arguments do not say.
        path: What is asked for.
        words: Its arguments.
    """
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word == "--port":
            port = int(following)
        elif word.startswith("--port="):
            port = int(word.removeprefix("--port="))
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", path)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        sys.stdout.write(f"port {port}: {error}\n")
        return 1
    sys.stdout.write(f"port {port}: {status}\n")
    return 0 if status == http.client.OK else 1


if __name__ == "__main__":
    sys.exit(main())
