from __future__ import annotations

import base64
import json
import os
import pty
import re
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from clicked import click_runner
from wanimate import Client, Result, Settings
from wanimate.cli import main
from wanimate.contract import Keys, parse_job

from .conftest import FIELDS, Database, Server, enqueue_stand_ins, eventually

if TYPE_CHECKING:
    from click.testing import Result as Ran

OPTIONS = ["--image", FIELDS["image_url"], "--video", FIELDS["video_url"]]


@pytest.fixture
def run(url: str, database: Database) -> Any:
    return runner_for(url)


@pytest.fixture
def run_with_worker(stand_in_url: str) -> Any:
    enqueue_stand_ins(stand_in_url)
    return runner_for(stand_in_url)


def runner_for(url: str) -> Any:
    def run(*arguments: str, **options: Any) -> Ran:
        result = click_runner().invoke(main, list(arguments), env={"WANIMATE_REDIS_URL": url}, **options)
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
    options += ["--webhook-url", "https://example.com/hook"]
    options += ["--label", "a=b", "--label", "c=d=e", "--idempotency-key", "k", "--on-unknown", "resubmit", "--no-wait"]

    result = run("replace", *OPTIONS, *options, "--json")

    assert result.exit_code == 0
    (message,) = database.messages()
    assert objects(result.stdout) == [{"id": message["headers"]["id"], "state": "queued"}]
    assert message["properties"]["priority"] == 0
    assert json.loads(base64.b64decode(message["body"]))[1]["webhook_url"] == "https://example.com/hook"
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
        ["animate", *OPTIONS, "--seed", "2147483648"],
        ["animate", *OPTIONS, "--retry-transient", "11"],
        ["replace", "--image", "https://example.com/c.png", "--video", "https://example.com/m.avi"],
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


@pytest.mark.parametrize("options", ["?db=three", "?ssl=true", "?socket_timeout=5"])
def test_a_url_that_cannot_be_read_is_refused_before_a_key_is_claimed(
    run: Any, url: str, database: Database, options: str
) -> None:
    result = run("animate", *OPTIONS, "--idempotency-key", "k", "--redis-url", f"{url}{options}")

    assert result.exit_code == 2
    assert result.stderr.startswith("Error: --redis-url: ")
    assert database.redis.keys() == []


def test_a_database_may_be_named_by_an_option(run: Any, server: Server, database: Database) -> None:
    result = run("animate", *OPTIONS, "--no-wait", "--redis-url", f" REDIS://127.0.0.1:{server.port}?db=1")

    assert result.exit_code == 0
    assert len(database.messages()) == 1


def test_a_conflict_of_idempotency_keys_is_exit_code_two(run: Any) -> None:
    run("animate", *OPTIONS, "--idempotency-key", "k", "--no-wait")

    assert run("replace", *OPTIONS, "--idempotency-key", "k", "--no-wait").exit_code == 2


@pytest.mark.parametrize("command", [["animate", *OPTIONS], ["status", "x"], ["wait", "x"], ["cancel", "x"]])
def test_a_queue_that_cannot_be_reached_is_exit_code_three(run: Any, command: list[str]) -> None:
    result = run(*command, "--redis-url", "redis://:hunter2@127.0.0.1:1/0")

    assert result.exit_code == 3
    assert "127.0.0.1:1" in result.stderr
    assert "hunter2" not in result.output


def test_no_worker_is_exit_code_three(run: Any, database: Database) -> None:
    database.enqueue("job-1")
    assert run("cancel", "job-1", "--timeout", "0.1").exit_code == 3


@pytest.mark.parametrize(("outcome", "code"), [("cancelled", 0), ("billed", 5), ("unknown", 5), ("finished", 5)])
def test_cancel_says_what_became_of_each_job(run_with_worker: Any, outcome: str, code: int) -> None:
    result = run_with_worker("cancel", outcome, "--json", "--timeout", "20")

    assert result.exit_code == code
    assert objects(result.stdout) == [{"id": outcome, "outcome": outcome}]


def test_status_prints_a_summary_line_and_facts_below(run: Any, database: Database) -> None:
    database.record("job-1", stage="waiting", request='{"type": "animate"}')
    database.redis.zadd(Keys("default").waiting, {"job-1": 1})
    database.enqueue("job-2")

    assert run("status", "job-1", "job-2").stdout.splitlines() == [
        "job-1  waiting  position 1, ETA unavailable",
        "  job        animate 480p",
        "job-2  queued  no worker has recorded it yet",
    ]
    assert objects(run("status", "job-1", "job-2", "--json").stdout) == [
        {"id": "job-1", "state": "waiting", "position": 1, "type": "animate", "resolution": "480p"},
        {"id": "job-2", "state": "queued"},
    ]


def test_a_label_named_like_a_field_is_shown_as_a_label(run: Any, database: Database) -> None:
    labels = {"type": "of-the-label", "task_id": "x task_id=y", "state": "succeeded", "id": ""}
    database.record(
        "job-1", stage="running", task_id="task_1", request=json.dumps({"type": "animate", "labels": labels})
    )
    database.redis.zadd(Keys("default").slots, {"job-1": 1})

    first, *further = run("status", "job-1").stdout.splitlines()
    (found,) = objects(run("status", "job-1", "--json").stdout)

    assert first.startswith("job-1  running  ETA ")
    assert further == [
        "  job        animate 480p",
        '  labels     type=of-the-label task_id="x task_id=y" state=succeeded id=""',
        "  task       task_1",
    ]
    assert (found["type"], found["task_id"], found["labels"]) == ("animate", "task_1", labels)


NASTY = "\x1b]0;X\x07\u202e\u200b\r\nforged [red]:100:[/nonsense]"
SHOWN = "\\x1b]0;X\\x07\\u202e\\u200b\\r\\nforged [red]:100:[/nonsense]"


@pytest.mark.parametrize("command", ["status", "wait", "cancel"])
def test_text_from_outside_is_shown_harmlessly_on_its_line(run: Any, database: Database, command: str) -> None:
    request = json.dumps({"type": "animate", "labels": {"a": NASTY}})
    outcome = {"kind": "failed", "error": "GenerationFailed", "message": NASTY, "code": NASTY}
    database.record(NASTY, stage="delivered", request=request, outcome=json.dumps(outcome))
    failed = {"exc_type": "GenerationFailed", "exc_message": [NASTY, NASTY], "exc_module": "wanimate.errors"}
    database.store(NASTY, "FAILURE", failed)

    options = ["--timeout", "0.1"] if command == "cancel" else []
    ended = run(command, NASTY, *options)
    text = ended.stdout + ended.stderr

    assert SHOWN.replace("forged [red]:100:[/nonsense]", "") in text
    assert "[red]:100:[/nonsense]" in text, "neither markup nor an emoji"
    assert not [line for line in text.splitlines() if not line.isprintable() or line.startswith("forged")]


def test_a_wait_whose_reader_goes_away_is_interrupted_and_no_traceback(url: str, database: Database) -> None:
    ids = [f"job-{number}" for number in range(3000)]
    for job_id in ids:
        database.succeed(job_id)
    command = [sys.executable, "-m", "wanimate.cli", "wait", *ids]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "WANIMATE_REDIS_URL": url},
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()
        assert process.wait(30) == 130, errors
    assert errors == b""


@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
def test_a_batch_goes_on_where_the_output_has_no_such_character(
    stand_in_url: str, tmp_path: Path, encoding: str
) -> None:
    file = write(tmp_path / "七.jsonl", a_line(seed=901, labels={"客": "七"}), a_line(seed=902, prompt="violate"))
    environment = {**os.environ, "WANIMATE_REDIS_URL": stand_in_url, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    command = [sys.executable, "-m", "wanimate.cli", "batch", file, "--timeout"]

    ended = subprocess.run([*command, "20"], capture_output=True, env=environment, check=False)
    timed_out = subprocess.run([*command, "nonsense 客"], capture_output=True, env=environment, check=False)

    assert ended.returncode == 1, ended.stderr
    assert b"line 1 \\u5ba2=\\u4e03  succeeded" in ended.stdout
    assert b"2 jobs: 1 succeeded, 1 failed" in ended.stderr
    assert timed_out.returncode == 2
    assert b"Traceback" not in ended.stderr + timed_out.stderr


def test_wait_prints_ends_as_they_come_and_times_out_with_four(run: Any, database: Database) -> None:
    database.succeed("job-1")
    database.enqueue("job-2")

    result = run("wait", "job-1", "job-2", "job-1", "--timeout", "0.2", "--json")

    assert result.exit_code == 4
    assert [(line["id"], line["state"]) for line in objects(result.stdout)] == [
        ("job-1", "succeeded"),
        ("job-2", "unfinished"),
    ]
    assert "wanimate wait job-2" in result.stderr


@pytest.mark.parametrize("command", ["status", "wait", "cancel"])
def test_an_unknown_id_is_exit_code_six_and_the_others_are_answered(
    run_with_worker: Any, stand_in_url: str, command: str
) -> None:
    beside = Database(stand_in_url)
    beside.succeed("finished")
    beside.redis.close()

    result = run_with_worker(command, "mistyped", "finished", "--json")

    assert result.exit_code == 6
    by_id = {line["id"]: line for line in objects(result.stdout)}
    assert "job mistyped was not found" in by_id["mistyped"]["message"]
    assert by_id["mistyped"].get("outcome", by_id["mistyped"].get("state")) == "not_found"
    assert by_id["finished"].get("outcome", by_id["finished"].get("state")) in {"succeeded", "finished"}
    assert "billed" not in result.output


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


def test_fifty_wrong_lines_are_ten_lines_and_a_count(run: Any, database: Database, tmp_path: Path) -> None:
    file = write(tmp_path / "jobs.jsonl", *(a_line(**{NASTY: n}) for n in range(50)))

    told = run("batch", file).stderr.splitlines()

    assert [line for line in told if line.startswith("  line ")] == [
        f"  line {n}: {SHOWN}: Extra inputs are not permitted" for n in range(1, 11)
    ]
    assert told[-1] == "  ... and 40 more"
    assert "Nothing was enqueued. Fix these 50 lines:" in told[-12]


def test_a_batch_takes_what_pandas_and_windows_write(run: Any, database: Database, tmp_path: Path) -> None:
    nothing = {"prompt": None, "resolution": None, "labels": None, "priority": None, "deadline_seconds": None}
    lines = [
        json.dumps(a_line(seed=42.0, priority=7.0, **{name: nothing[name] for name in ("prompt", "labels")})),
        json.dumps(a_line(seed=None, **nothing)),
        json.dumps(a_line(seed=float("nan"), prompt="a", labels={"order": None, "b": "c"})),
        "\ufeff" + json.dumps(a_line(seed=1e3)),
    ]
    (tmp_path / "jobs.jsonl").write_bytes("\ufeff".encode() + "\r\n".join([*lines, " \ufeff", ""]).encode())

    result = run("batch", str(tmp_path / "jobs.jsonl"), "--no-wait")

    assert result.exit_code == 0, result.output
    ((_, kwargs, _),) = [json.loads(base64.b64decode(message["body"])) for message in database.messages()]
    jobs = [parse_job(job) for _, job in kwargs["jobs"]]
    assert [(job.seed, job.priority, job.prompt, job.labels) for job in jobs] == [
        (42, 7, None, {}),
        (-1, 5, None, {}),
        (-1, 5, "a", {"b": "c"}),
        (1000, 5, None, {}),
    ]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (a_line(seed=42.5), "seed"),
        (a_line(seed=2**31), "seed: expected -1"),
        (a_line(retry_transient=11), "retry_transient"),
        (a_line(video_url="https://example.com/m.avi"), "video_url: the vendor accepts"),
        (a_line(seed=1e300), "lost digits"),
        (a_line(notes=None), "notes"),
        (a_line(image_url=None), "image_url"),
        (a_line(type=None), "type"),
        (json.dumps(a_line(seed=float("inf"))), "Infinity"),
        (json.dumps(a_line(seed=1))[:-1] + ', "seed": 2}', "duplicate name"),
        (json.dumps([a_line(), a_line(seed=1)]), "one JSON object per line"),
    ],
)
def test_a_line_that_could_mean_something_else_is_refused(run: Any, tmp_path: Path, line: Any, told: str) -> None:
    result = run("batch", write(tmp_path / "jobs.jsonl", line))

    assert result.exit_code == 2
    assert "Nothing was enqueued. Fix this line:" in result.stderr
    assert f"  line 1: {told}" in result.stderr or told in result.stderr.splitlines()[-1]


def test_equal_lines_are_refused_before_they_are_paid_for(run: Any, database: Database, tmp_path: Path) -> None:
    rows = [
        a_line(),
        a_line(labels={"row": "2"}),
        a_line(seed=-1, priority=0),
        a_line(seed=1),
        a_line(idempotency_key="k"),
    ]
    file = write(tmp_path / "jobs.jsonl", *rows)

    refused = run("batch", file, "--no-wait")
    nothing = database.messages()
    allowed = run("batch", file, "--no-wait", "--json", "--allow-duplicates")

    assert refused.exit_code == 2
    assert nothing == []
    assert "--allow-duplicates" in refused.stderr
    assert refused.stderr.splitlines()[-3:] == [f"  line {n} repeats line 1" for n in (2, 3, 5)]
    assert allowed.exit_code == 0
    assert len(set(ids(allowed))) == 5
    assert "3 lines repeat an earlier one. Each is billed." in allowed.stderr


@pytest.mark.parametrize("second", ["k", "other"])
def test_equal_lines_with_keys_of_their_own_are_as_they_are_meant(run: Any, tmp_path: Path, second: str) -> None:
    file = write(tmp_path / "jobs.jsonl", a_line(idempotency_key="k"), a_line(idempotency_key=second))

    result = run("batch", file, "--no-wait", "--json")

    assert result.exit_code == 0
    assert len(set(ids(result))) == len({"k", second})


def test_a_file_that_is_no_text_is_exit_code_two(run: Any, tmp_path: Path) -> None:
    (tmp_path / "jobs.jsonl").write_bytes(b"\xff\xfe\x00")

    assert run("batch", str(tmp_path / "jobs.jsonl")).exit_code == 2


def ids(result: Result) -> list[str]:
    return [line["id"] for line in objects(result.stdout)]


def test_running_the_same_jobs_again_gives_the_same_ids_wherever_they_stand(run: Any, tmp_path: Path) -> None:
    first = write(tmp_path / "a.jsonl", a_line(seed=1), a_line(seed=2), a_line(seed=2))
    moved = write(tmp_path / "b.jsonl", "", a_line(seed=2), a_line(seed=2, labels={"a": "b"}), a_line(seed=1))

    options = ["--no-wait", "--json", "--allow-duplicates"]
    one, two, again = ids(run("batch", first, *options))
    other_run = ids(run("batch", first, *options, "--run", "second"))

    assert len({one, two, again}) == 3
    assert ids(run("batch", first, *options)) == [one, two, again]
    assert ids(run("batch", moved, *options)) == [two, again, one]
    assert set(other_run).isdisjoint({one, two, again})


def test_a_batch_is_read_from_stdin(run: Any) -> None:
    result = run("batch", "-", "--no-wait", "--json", input=json.dumps(a_line()))

    assert result.exit_code == 0
    assert len(ids(result)) == 1


@pytest.mark.parametrize("text", ["", "\n \n", "\ufeff", "\ufeff\r\n"])
def test_an_empty_batch_says_so_and_has_an_exit_code_of_its_own(run: Any, text: str) -> None:
    result = run("batch", "-", input=text)

    assert result.exit_code == 7
    assert "contains no jobs. Nothing was enqueued." in result.stderr
    assert result.stdout == ""


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
    assert "3 unfinished" in errors
    assert f"\n  wanimate batch {file} --run 'second try' --redis-url URL\n" in errors, "it can be copied"
    assert url not in errors, "it may hold a password"
    assert "Traceback" not in errors
    assert len(database.messages()) == 1


def test_a_batch_from_a_pipe_that_times_out_says_to_send_the_same_lines(run: Any) -> None:
    result = run("batch", "-", "--timeout", "0.2", "--json", input=json.dumps(a_line()))

    assert result.exit_code == 4
    assert [line["state"] for line in objects(result.stdout)] == ["unfinished"]
    assert result.stderr.endswith(
        "To resume, send the same lines to this command; no job is billed twice:\n  wanimate batch -\n"
    )


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
    assert "1 job: 1 succeeded, 0 failed" in text
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


URL = f"http://127.0.0.1:35797/results/task_{32 * 'a'}.mp4"


def test_status_prints_the_url_of_a_result_whole_at_80_columns(run: Any, database: Database) -> None:
    expires_at = datetime.now(UTC) + timedelta(hours=3, minutes=12, seconds=30)
    result = Result(urls=(URL,), task_id="task_1", urls_expire_at=expires_at)
    outcome = json.dumps({"kind": "succeeded", "result": result.to_json()})
    request = json.dumps({"type": "animate", "labels": {f"label-{n}": "x" * 30 for n in range(4)}})
    database.record("job-1", stage="delivered", outcome=outcome, request=request, attempts="1")

    lines = run("status", "job-1").stdout.splitlines()
    (line,) = objects(run("status", "job-1", "--json").stdout)

    assert lines[0] == "job-1  succeeded"
    assert lines[1].split() == ["result", URL]
    assert lines[2].startswith(f"  expires    in 3h 12m, {expires_at:%Y-%m-%d %H:%M}")
    assert all(len(each) <= 80 for each in lines if URL not in each)
    assert (line["urls"], datetime.fromisoformat(line["urls_expire_at"])) == ([URL], expires_at)


def test_a_blocked_job_has_no_eta_and_says_why(run: Any, database: Database) -> None:
    database.record("job-1", stage="waiting")
    database.redis.zadd(Keys("default").waiting, {"job-1": 1})
    database.redis.zadd(Keys("default").slots, {"job-2": 1})
    database.redis.delete(Keys("default").account)
    database.redis.hset(Keys("default").account, "paused", "why")

    lines = run("status", "job-1").stdout.splitlines()
    database.redis.delete(Keys("default").account)

    assert lines == [
        "job-1  waiting  position 1, ETA unavailable",
        "  blocked    ETA unavailable until submissions resume: an operator paused",
        "             submissions",
    ]


def test_a_job_whose_video_is_copied_is_keeping(run: Any, database: Database) -> None:
    database.record("job-1", stage="keeping", task_id="task_1", rendered_at_ms="1764590000000")

    (line,) = objects(run("status", "job-1", "--json").stdout)

    assert (line["state"], line["rendered_at"]) == ("keeping", "2025-12-01T11:53:20Z")
    assert "keeping" in run("status", "job-1").stdout


def test_jobs_at_work_are_those_with_a_slot_and_those_whose_video_is_copied(url: str, database: Database) -> None:
    keys = Keys("default")
    database.redis.zadd(keys.slots, {"running": 1})
    database.redis.zadd(keys.keeping, {"to copy": 1})
    database.redis.zadd(keys.keeping_later, {"1764590000000 copying": 1})

    with Client(Settings(redis_url=url)) as client:
        assert client.store.at_work() == ({"running"}, {"to copy", "copying"})


def test_a_video_that_could_not_be_kept_is_marked_beside_its_url(run: Any, database: Database) -> None:
    kept_not = Result(urls=("https://example.com/v.mp4",), task_id="t", kept=False)
    database.store("job-1", "SUCCESS", kept_not.to_json())

    shown, (line,) = run("wait", "job-1").stdout, objects(run("wait", "job-1", "--json").stdout)

    assert shown.startswith("job-1  succeeded  https://example.com/v.mp4 (not copied to your store")
    assert line == {
        "id": "job-1",
        "state": "succeeded",
        "urls": ["https://example.com/v.mp4"],
        "task_id": "t",
        "kept": False,
    }
