"""One line is one event, whoever writes it and whatever is in it."""

from __future__ import annotations

import json
import logging
import os
import pty
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from wanimate_worker.telemetry import get_logger, set_up_logs
from wanimate_worker.telemetry.logs import ROUTINE

if TYPE_CHECKING:
    from collections.abc import Iterator

FORGED = '2026-01-01T00:00:00Z [info ] job accepted job_id=other\r\n{"event": "job accepted"}\x1b[2J\x85\u2028end'


@pytest.fixture(autouse=True)
def _root() -> Iterator[None]:
    """Leave the loggers of the process as they were."""
    root = logging.getLogger()
    handlers = root.handlers[:]
    levels = {logger: logger.level for logger in (root, *map(logging.getLogger, ROUTINE))}
    yield
    root.handlers = handlers
    for logger, level in levels.items():
        logger.setLevel(level)


def fail() -> None:
    raise ValueError(FORGED)


def written(capsys: pytest.CaptureFixture[str], log_format: Any, level: str = "INFO") -> list[str]:
    """Write what may go wrong, and return the lines that came of it."""
    set_up_logs(log_format, level)
    ours, theirs = get_logger("wanimate_worker.test"), logging.getLogger("celery.test")
    ours.info("throttled", job_id="a", cause=FORGED, attempt=1, ran_seconds=0.5, task_id=None)
    theirs.info("Connected to %s", FORGED)
    ours.debug("polled")
    try:
        fail()
    except ValueError:
        ours.exception("unexpected error", job_id="a")
        theirs.exception("unexpected error")
    return capsys.readouterr().err.removesuffix("\n").split("\n")


def test_every_line_is_one_json_object_also_with_line_ends_in_what_the_vendor_says(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = written(capsys, "json")
    assert [json.loads(line)["event"].split()[0] for line in lines] == ["throttled", "Connected", *["unexpected"] * 2]
    first = json.loads(lines[0])
    assert list(first) == ["timestamp", "level", "event", "logger", "job_id", "cause", "attempt", "ran_seconds"]
    assert first["cause"].isprintable()
    assert "ValueError" in json.loads(lines[2])["exception"]
    assert all(line.isprintable() for line in lines)


def test_for_people_no_text_can_begin_a_line_or_move_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    lines = written(capsys, "console")
    assert [line for line in lines if not line.startswith("    ")] == [line for line in lines if line.startswith("20")]
    assert sum(line.startswith("20") for line in lines) == 4
    assert all(line.isprintable() for line in lines)
    assert "attempt=1" in lines[0]
    assert "cause='2026" in lines[0], "a text with spaces is quoted"


def test_without_a_terminal_lines_are_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert all(json.loads(line) for line in written(capsys, "auto"))


def test_what_is_below_the_level_is_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    assert len(written(capsys, "json", "ERROR")) == 2
    assert len(written(capsys, "json", "DEBUG")) == 5


@pytest.mark.parametrize("no_color", ["", "1"])
def test_a_terminal_gets_colours_unless_no_color_is_set(no_color: str) -> None:
    program = "from wanimate_worker.telemetry import *; set_up_logs('auto', 'INFO'); "
    program += "get_logger('x').info('y', job_id='a')"
    ours, theirs = pty.openpty()
    environment = {**os.environ, "NO_COLOR": no_color, "TERM": "xterm"}
    subprocess.run([sys.executable, "-c", program], stderr=theirs, env=environment, check=True)
    os.close(theirs)
    shown = os.read(ours, 4096).decode()
    os.close(ours)
    assert "job_id" in shown
    assert ("\x1b[" in shown) is not bool(no_color)
