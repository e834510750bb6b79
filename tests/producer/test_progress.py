"""What a batch tells of its pace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wanimate.cli.output import Output
from wanimate.cli.progress import BatchProgress
from wanimate.contract import Result
from wanimate.errors import JobFailed

if TYPE_CHECKING:
    import pytest

RESULT = Result(urls=("https://example.com/v.mp4",), task_id="t")


def test_without_a_terminal_plain_lines_show_progress(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    progress = BatchProgress(Output(as_json=False), 4000)
    for _ in range(4000):
        progress.enqueued()
    progress.all_enqueued()
    for second in range(100):
        now = 1000.0 + second
        progress.read_at_work(lambda: (1000, 0))
        # Slow at first: the rate is that of the last minute.
        for _ in range(1 if second < 40 else 20):
            progress.ended(RESULT if second % 10 else JobFailed("no"))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 9
    assert lines[0] == "10/4000: 1 failed, 9 succeeded, 1000 in flight, 2990 waiting; 52.5/min ETA 1h 16m"
    assert lines[-1] == "1040/4000: 104 failed, 936 succeeded, 1000 in flight, 1960 waiting; 16.8/s ETA 2m 56s"
    assert progress.summary() == "4,000 jobs: 1,116 succeeded, 124 failed, 2,760 unfinished (1m 39s)"


def test_nothing_is_guessed_before_jobs_have_ended(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    progress = BatchProgress(Output(as_json=False), 2)
    now = 11.0
    progress.enqueued()
    assert capsys.readouterr().err == "0/2: 1 enqueued; ETA -\n"


def test_the_time_until_the_first_end_is_not_taken_for_the_pace(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    progress = BatchProgress(Output(as_json=False), 111)
    # A task takes 40 s, and then one ends every second.
    for second in range(40, 51):
        now = float(second)
        progress.ended(RESULT)
    assert capsys.readouterr().err.splitlines()[-1].endswith("1.0/s ETA 1m 40s")


def test_jobs_whose_videos_are_copied_do_not_count_as_waiting(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    progress = BatchProgress(Output(as_json=False), 10)
    progress.all_enqueued()
    now = 11.0
    progress.read_at_work(lambda: (3, 2))
    assert capsys.readouterr().err == "0/10: 3 in flight, 2 keeping, 5 waiting; ETA -\n"
