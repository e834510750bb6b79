from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from wanimate.cli import main
from wanimate.contract import Keys

from .conftest import FIELDS, Database, eventually

OPTIONS = ["--image", FIELDS["image_url"], "--video", FIELDS["video_url"]]


@pytest.fixture
def run(url: str, database: Database) -> Any:
    return runner_for(url)


@pytest.fixture
def run_with_worker(stand_in_url: str) -> Any:
    return runner_for(stand_in_url)


def runner_for(url: str) -> Any:
    def run(*arguments: str, **options: Any) -> Result:
        result = CliRunner().invoke(main, list(arguments), env={"WANIMATE_REDIS_URL": url}, **options)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
        return result

    return run


def objects(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def write(path: Path, *lines: dict[str, Any] | str) -> str:
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    return str(path)


def a_line(**changes: Any) -> dict[str, Any]:
    return {"type": "animate", **FIELDS, **changes}


def test_animate_waits_and_prints_the_url(run_with_worker: Any) -> None:
    result = run_with_worker("animate", *OPTIONS, "--seed", "3", "--label", "order=7", "--timeout", "20")

    assert result.exit_code == 0
    assert result.stdout.split()[1:] == ["succeeded", FIELDS["video_url"]]


def test_replace_passes_every_option_on(run: Any, database: Database) -> None:
    options = ["--prompt", "go", "--resolution", "720p", "--seed", "42", "--provider", "value", "--priority", "0"]
    options += ["--label", "a=b", "--label", "c=d=e", "--idempotency-key", "k", "--on-unknown", "resubmit", "--no-wait"]

    result = run("replace", *OPTIONS, *options, "--json")

    assert result.exit_code == 0
    (message,) = database.messages()
    assert objects(result.stdout) == [{"id": message["headers"]["id"], "state": "queued"}]
    assert message["properties"]["priority"] == 0
    assert message["headers"]["kwargsrepr"] == str(
        {
            "type": "replace",
            "resolution": "720p",
            "labels": {"a": "b", "c": "d=e"},
        }
    )


def test_a_failed_job_is_exit_code_one_and_a_json_line_that_says_why(run_with_worker: Any) -> None:
    result = run_with_worker("animate", *OPTIONS, "--prompt", "violate", "--json", "--timeout", "20")

    assert result.exit_code == 1
    (line,) = objects(result.stdout)
    assert (line["state"], line["error"], line["code"]) == ("failed", "ContentViolation", "CONTENT_VIOLATION")


@pytest.mark.parametrize(
    "arguments",
    [
        ["animate", "--image", "nonsense", "--video", "nonsense"],
        ["animate", *OPTIONS, "--seed", "-5"],
        ["animate", *OPTIONS, "--label", "nonsense"],
        ["animate", *OPTIONS, "--resolution", "1080p"],
        ["animate", *OPTIONS, "--redis-url", "http://localhost"],
        ["animate"],
        ["status"],
        ["batch", "no-such-file"],
    ],
)
def test_wrong_input_is_exit_code_two_in_one_line_without_a_traceback(
    run: Any, database: Database, arguments: list[str]
) -> None:
    result = run(*arguments)

    assert result.exit_code == 2
    assert result.stdout == ""
    assert "Error: " in result.stderr
    assert "Traceback" not in result.stderr
    assert database.messages() == []


def test_a_conflict_of_idempotency_keys_is_exit_code_two(run: Any) -> None:
    run("animate", *OPTIONS, "--idempotency-key", "k", "--no-wait")

    assert run("replace", *OPTIONS, "--idempotency-key", "k", "--no-wait").exit_code == 2


@pytest.mark.parametrize("command", [["animate", *OPTIONS], ["status", "x"], ["wait", "x"], ["cancel", "x"]])
def test_a_queue_that_cannot_be_reached_is_exit_code_three(run: Any, command: list[str]) -> None:
    result = run(*command, "--redis-url", "redis://:hunter2@127.0.0.1:1/0")

    assert result.exit_code == 3
    assert "127.0.0.1:1" in result.stderr
    assert "hunter2" not in result.output


def test_no_worker_is_exit_code_three(run: Any) -> None:
    assert run("cancel", "job-1", "--timeout", "0.1").exit_code == 3


@pytest.mark.parametrize(("outcome", "code"), [("cancelled", 0), ("billed", 5), ("finished", 5)])
def test_cancel_says_what_became_of_each_job(run_with_worker: Any, outcome: str, code: int) -> None:
    result = run_with_worker("cancel", outcome, "--json", "--timeout", "20")

    assert result.exit_code == code
    assert objects(result.stdout) == [{"id": outcome, "outcome": outcome}]


def test_status_prints_one_line_for_each_job(run: Any, database: Database) -> None:
    database.record("job-1", stage="waiting", request='{"type": "animate"}')
    database.redis.zadd(Keys("default").waiting, {"job-1": 1})

    assert run("status", "job-1", "job-2").stdout.splitlines() == [
        "job-1  waiting  position=1 type=animate resolution=480p",
        "job-2  queued  (no worker has recorded it yet; an id that was never enqueued reads the same)",
    ]
    assert objects(run("status", "job-1", "job-2", "--json").stdout) == [
        {"id": "job-1", "state": "waiting", "position": 1, "type": "animate", "resolution": "480p"},
        {"id": "job-2", "state": "queued"},
    ]


def test_wait_prints_ends_as_they_come_and_times_out_with_four(run: Any, database: Database) -> None:
    database.succeed("job-1")

    result = run("wait", "job-1", "job-2", "job-1", "--timeout", "0.2", "--json")

    assert result.exit_code == 4
    assert [(line["id"], line["state"]) for line in objects(result.stdout)] == [
        ("job-1", "succeeded"),
        ("job-2", "unfinished"),
    ]
    assert "wanimate wait job-2" in result.stderr


def test_waiting_for_a_cancelled_job_is_exit_code_five(run: Any, database: Database) -> None:
    cancelled = {"exc_type": "JobCancelled", "exc_message": ["gone"], "exc_module": "wanimate.errors"}
    database.store("job-1", "FAILURE", cancelled)

    result = run("wait", "job-1")

    assert result.exit_code == 5
    assert result.stdout == "job-1  cancelled  JobCancelled: gone\n"


def test_a_batch_reports_every_line_and_sums_up(run_with_worker: Any, tmp_path: Path) -> None:
    lines = [a_line(seed=n, labels={"order": str(n)}) for n in range(5)]
    lines[2]["prompt"] = "violate"
    file = write(tmp_path / "jobs.jsonl", *lines[:3], "", *lines[3:])

    result = run_with_worker("batch", file, "--json", "--timeout", "30")

    assert result.exit_code == 1
    assert {(line["name"], line["state"]) for line in objects(result.stdout)} == {
        ("line 1 order=0", "succeeded"),
        ("line 2 order=1", "succeeded"),
        ("line 3 order=2", "failed"),
        ("line 5 order=3", "succeeded"),
        ("line 6 order=4", "succeeded"),
    }
    assert "5 jobs: 4 succeeded, 1 failed" in result.stderr


def test_a_batch_with_wrong_lines_lists_them_all_and_enqueues_nothing(
    run: Any, database: Database, tmp_path: Path
) -> None:
    file = write(
        tmp_path / "jobs.jsonl",
        a_line(),
        "{nonsense",
        "[1]",
        a_line(type="dance"),
        a_line(image_url=[]),
        a_line(idempotency_key="k"),
        a_line(idempotency_key="k", seed=1),
        a_line(self=1),
        "[" * 100_000,
    )

    result = run("batch", file)

    assert result.exit_code == 2
    assert database.messages() == []
    problems = [line.strip() for line in result.stderr.splitlines() if line.strip().startswith("line ")]
    assert [problem.split(":")[0] for problem in problems] == [f"line {n}" for n in (2, 3, 4, 5, 7, 8, 9)]


def test_a_file_that_is_no_text_is_exit_code_two(run: Any, tmp_path: Path) -> None:
    (tmp_path / "jobs.jsonl").write_bytes(b"\xff\xfe\x00")

    assert run("batch", str(tmp_path / "jobs.jsonl")).exit_code == 2


def ids(result: Result) -> list[str]:
    return [line["id"] for line in objects(result.stdout)]


def test_running_the_same_jobs_again_gives_the_same_ids_wherever_they_stand(run: Any, tmp_path: Path) -> None:
    first = write(tmp_path / "a.jsonl", a_line(seed=1), a_line(seed=2), a_line(seed=2))
    moved = write(tmp_path / "b.jsonl", "", a_line(seed=2), a_line(seed=2, labels={"a": "b"}), a_line(seed=1))

    one, two, again = ids(run("batch", first, "--no-wait", "--json"))
    other_run = ids(run("batch", first, "--no-wait", "--json", "--run", "second"))

    assert len({one, two, again}) == 3
    assert ids(run("batch", first, "--no-wait", "--json")) == [one, two, again]
    assert ids(run("batch", moved, "--no-wait", "--json")) == [two, again, one]
    assert set(other_run).isdisjoint({one, two, again})


def test_a_batch_is_read_from_stdin(run: Any) -> None:
    result = run("batch", "-", "--no-wait", "--json", input=json.dumps(a_line()))

    assert result.exit_code == 0
    assert len(ids(result)) == 1


def test_an_empty_batch_is_done_at_once(run: Any) -> None:
    assert run("batch", "-", input="").exit_code == 0


def test_without_a_terminal_there_is_neither_a_bar_nor_a_colour(run: Any, database: Database) -> None:
    database.succeed("job-1")

    assert "\x1b" not in run("wait", "job-1").output


def test_ctrl_c_leaves_the_jobs_in_the_queue_and_says_how_to_go_on(
    url: str, database: Database, tmp_path: Path
) -> None:
    file = write(tmp_path / "jobs.jsonl", *(a_line(seed=n) for n in range(3)))
    command = [sys.executable, "-m", "wanimate.cli", "batch", file, "--run", "second try", "--redis-url", url]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "WANIMATE_REDIS_URL": url},
        # A shell starts background jobs deaf to Ctrl-C, and children inherit it; no thread of ours forks here.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    # The first look at the results comes after the jobs were enqueued: from then on it only waits.
    eventually(lambda: any(client["cmd"] == "mget" for client in database.redis.client_list()))
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)

    assert process.returncode == 130
    assert "3 go on" in errors
    assert f"\n  wanimate batch {file} --run 'second try' --redis-url URL\n" in errors, "it can be copied"
    assert url not in errors, "it may hold a password"
    assert "Traceback" not in errors
    assert len(database.messages()) == 1


def test_a_batch_from_a_pipe_that_times_out_says_to_send_the_same_lines(run: Any) -> None:
    result = run("batch", "-", "--timeout", "0.2", "--json", input=json.dumps(a_line()))

    assert result.exit_code == 4
    assert [line["state"] for line in objects(result.stdout)] == ["unfinished"]
    assert result.stderr.endswith("by sending the same lines to:\n  wanimate batch -\n")


def on_a_terminal(url: str, file: str, **environment: str) -> str:
    """Run a batch to its end and return what its terminal of 80 columns was sent."""
    command = [sys.executable, "-m", "wanimate.cli", "batch", file, "--timeout", "20"]
    clean = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "FORCE_COLOR"}}
    environment = {**clean, "WANIMATE_REDIS_URL": url, "TERM": "xterm-256color", "COLUMNS": "80", **environment}
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 4096):
            shown += piece
    except OSError:  # Linux ends a terminal whose other side is closed with an error
        pass
    os.close(ours)

    assert process.wait(20) == 0
    return shown.decode()


def test_on_a_terminal_a_batch_draws_a_bar_and_every_result(stand_in_url: str, tmp_path: Path) -> None:
    file = write(tmp_path / "jobs.jsonl", *(a_line(seed=n) for n in range(3)))
    text = on_a_terminal(stand_in_url, file)
    assert text.count(FIELDS["video_url"]) == 3
    assert "ETA" in text
    assert "3 jobs: 3 succeeded, 0 failed" in text
    assert re.search(r"\x1b\[[0-9;]*3[0-9]", text), "in colour"


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_no_color_and_dumb_terminals_are_honoured(
    stand_in_url: str, tmp_path: Path, environment: dict[str, str]
) -> None:
    text = on_a_terminal(stand_in_url, write(tmp_path / "jobs.jsonl", a_line(seed=9)), **environment)
    assert "1 jobs: 1 succeeded, 0 failed" in text
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", text), "no colour"
    if "TERM" in environment:
        assert "\x1b" not in text


@pytest.mark.parametrize("program", ["wanimate", "wanimate-worker"])
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_gets_a_script_that_completes_the_commands(program: str, shell: str) -> None:
    command = Path(sys.executable).with_name(program)
    script = subprocess.run([command, "completion", shell], capture_output=True, text=True, check=True).stdout
    variable = f"_{program.upper().replace('-', '_')}_COMPLETE"
    assert f"{variable}={shell}_complete" in script
    # What the script asks the program when somebody presses Tab.
    asked = {
        variable: f"{shell}_complete",
        "COMP_WORDS": f"{program} comp",
        "COMP_CWORD": "1" if shell != "fish" else "comp",
    }
    told = subprocess.run([command], capture_output=True, text=True, check=True, env={**os.environ, **asked}).stdout
    assert "completion" in told
