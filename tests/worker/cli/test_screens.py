"""What operators see of text from outside: labels, reasons, the vendor's messages, names in messages of strangers."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from typed import run
from wanimate.contract import JobState, Outcome
from wanimate_devstack import RedisServer
from wanimate_worker.database import open_database
from wanimate_worker.ledger import Entry, Submit
from wanimate_worker.settings import WorkerSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wanimate_worker.ledger import Ledger

NASTY = "\x1b]0;X\x07\x9b31m\u202e\u200b\r\nforged [red]:100:[/nonsense] 客"
SHOWN = "\\x1b]0;X\\x07\\x9b31m\\u202e\\u200b"


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer(is_durable=False) as server:
        fill(server.url)
        yield server


def fill(url: str) -> None:
    """Put a nasty text wherever one can come from outside."""
    settings = WorkerSettings(_env_file=None, redis_url=url)  # type: ignore[call-arg]
    redis, ledger = open_database(settings)
    ledger.limits.fill(settings.account_limits())
    request = {"type": "animate", "video_seconds": 10.0, "labels": {NASTY: NASTY, "task_id": "of-the-label"}}
    ledger.jobs.admit([Entry(job_id, 5, {"seen": True}, request) for job_id in ("running", "failed", "waiting")])
    start(ledger, "running", task_id=NASTY)
    submit = start(ledger, "failed", task_id="t")
    ledger.jobs.settle(
        "failed",
        submit.nonce,
        Outcome(kind=JobState.FAILED, error="GenerationFailed", message=NASTY, code=NASTY, task_id="t"),
    )
    ledger.jobs.mark_delivered("failed")
    ledger.gate.pause(NASTY)
    ledger.gate.suspend(NASTY)
    ledger.dead_letters.add(
        {"at_ms": 0, "reason": NASTY, "why": NASTY, "queue": NASTY, "task": NASTY, "id": NASTY, "body_bytes": 0}
    )
    redis.close()
    redis.connection_pool.disconnect()


def start(ledger: Ledger, job_id: str, task_id: str) -> Submit:
    step = ledger.jobs.begin(job_id)
    assert isinstance(step, Submit)
    ledger.jobs.accept(job_id, step.nonce, task_id=task_id, first_poll_ms=60_000, begun_at_ms=0)
    return step


@pytest.mark.parametrize(
    ("command", "code", "lines"),
    [
        (["jobs"], 0, None),
        (["show", "running"], 0, None),
        (["show", "failed"], 0, None),
        (["dead"], 0, 1),
        (["top", "--once"], 0, None),
        (["doctor", "--no-vendor"], 2, None),
        (["resume"], 0, 1),
        (["cancel", NASTY], 1, 1),
        (["retry", NASTY], 1, 1),
        (["resolve", NASTY, "--task-id", NASTY], 1, 1),
    ],
)
def test_text_from_outside_is_shown_harmlessly_on_its_line(
    server: RedisServer, command: list[str], code: int, lines: int | None
) -> None:
    ended = run("wanimate-worker", *command, WANIMATE_REDIS_URL=server.url)

    text = ended.stdout + ended.stderr
    assert ended.returncode == code, text
    assert SHOWN in text
    assert not [line for line in text.splitlines() if not line.isprintable() or line.lstrip().startswith("forged")]
    assert "[red]:100:[/nonsense]" in text, "neither markup nor an emoji"
    assert lines is None or len(ended.stdout.splitlines()) == lines


def test_a_screen_that_has_no_such_character_shows_an_escape(server: RedisServer) -> None:
    environment = {**os.environ, "WANIMATE_REDIS_URL": server.url, "PYTHONIOENCODING": "latin-1"}
    command = [sys.executable, "-m", "wanimate_worker.cli", "jobs"]

    ended = subprocess.run(command, capture_output=True, env=environment, check=False)

    assert ended.returncode == 0, ended.stderr
    assert b"\\u5ba2" in ended.stdout
