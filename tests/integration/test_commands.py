"""What people type: `celery -A wanimate_worker …`, `wanimate …` and `wanimate-worker …`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from harness import PATIENCE_SECONDS, Vendor, eventually
from terminal import on_a_terminal, take_terminal_picture
from wanimate_worker.reference import settings_page

if TYPE_CHECKING:
    from wanimate_devstack import Stack

BIN = Path(sys.executable).parent
ROOT = Path(__file__).parents[2]
DEMO_COLUMNS = 100


def run(*command: str, environment: dict[str, str] | None = None, timeout: float = PATIENCE_SECONDS) -> Any:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("WANIMATE_", "CELERY_"))}
    return subprocess.run(
        [str(BIN / command[0]), *command[1:]],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        env={**clean, **(environment or {})},
        cwd=os.environ.get("TMPDIR", "/tmp"),
    )


@pytest.mark.parametrize("command", ["worker", "beat", "flower"])
def test_a_wrong_setting_stops_the_start_with_one_line_that_names_it(command: str) -> None:
    ended = run("celery", "-A", "wanimate_worker", command, environment={"WANIMATE_MAX_IN_FLIGHT": "many"})
    assert ended.returncode == 1
    assert ended.stderr.splitlines() == [
        "wanimate-worker: WANIMATE_MAX_IN_FLIGHT: Input should be a valid integer, unable to parse string as an integer"
    ]
    assert ended.stdout == ""


def test_a_worker_without_an_api_key_says_so_before_it_takes_a_message() -> None:
    ended = run("celery", "-A", "wanimate_worker", "worker")
    assert ended.returncode == 1
    assert "WANIMATE_API_KEY" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("wanimate-worker", "flower", "--host", "0.0.0.0"), 2),
        (("celery", "-A", "wanimate_worker", "flower", "--address=0.0.0.0"), 1),
    ],
)
def test_flower_is_not_started_open_to_strangers(command: tuple[str, ...], code: int) -> None:
    ended = run(*command)
    assert ended.returncode == code
    assert ended.stderr.splitlines()[-1].startswith(
        "wanimate-worker: a password is required for Flower to listen on 0.0.0.0: set WANIMATE_FLOWER_AUTH="
    )


def test_a_misspelt_option_of_flower_is_not_ignored() -> None:
    ended = run("wanimate-worker", "flower", "--basic_auht=a:b")
    assert ended.returncode == 2
    assert ended.stderr == "wanimate-worker: Flower has no option --basic_auht; write options as --name=value\n"


@pytest.mark.parametrize("key", ["with space", "line\nbreak", "schlüssel"])
def test_a_key_that_no_header_can_carry_is_refused_without_being_shown(key: str) -> None:
    ended = run("celery", "-A", "wanimate_worker", "worker", environment={"WANIMATE_API_KEY": key})
    assert ended.returncode == 1
    assert "API key" in ended.stderr
    assert key not in ended.stdout + ended.stderr


def test_celery_inspect_answers_as_for_any_celery_app(stack: Stack) -> None:
    ended = run("celery", "-A", "wanimate_worker", "inspect", "registered", "--json", environment=stack.environment)
    [names] = json.loads(ended.stdout).values()
    assert names == [
        "wanimate.cancel",
        "wanimate.enqueue",
        "wanimate.generate",
        "wanimate.housekeeping",
        "wanimate.poll",
    ]


def test_the_command_line_takes_a_job_from_enqueue_to_result(stack: Stack, vendor: Vendor) -> None:
    image = "https://example.com/a.png?marker=typed"
    arguments = ["--image", image, "--video", "https://example.com/v.mp4", "--resolution", "720p", "--json", "--wait"]
    ended = run("wanimate", "animate", *arguments, environment=stack.environment)
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout.splitlines()[-1])
    assert told["urls"]
    asked = run("wanimate", "status", told["id"], "--json", environment=stack.environment)
    assert json.loads(asked.stdout)["state"] == "succeeded"
    assert vendor.accepted() == {"typed": 1}


def test_a_batch_file_run_twice_is_paid_once(stack: Stack, vendor: Vendor, tmp_path: Path) -> None:
    lines = [
        {
            "type": "animate",
            "image_url": f"https://example.com/a.png?marker=line-{number}",
            "video_url": "https://example.com/v.mp4",
        }
        for number in range(8)
    ]
    file = tmp_path / "jobs.jsonl"
    file.write_text("\n".join(json.dumps(line) for line in lines))
    for _ in range(2):
        ended = run("wanimate", "batch", str(file), "--json", environment=stack.environment)
        assert ended.returncode == 0, ended.stderr
        assert sum("urls" in line for line in ended.stdout.splitlines()) == 8
    assert vendor.accepted() == {f"line-{number}": 1 for number in range(8)}


def test_workers_and_beat_say_at_their_start_whom_they_serve(stack: Stack) -> None:
    def first(name: str, event: str) -> Any:
        lines = (json.loads(line) for line in stack.log(name).splitlines() if line.startswith("{"))
        return next((line for line in lines if line["event"] == event), None)

    worker = eventually(lambda: first("worker1", "worker has started"), "the worker has said so")
    assert (worker["account"], worker["vendor"], worker["max_in_flight"]) == ("default", "127.0.0.1", 5)
    assert eventually(lambda: first("beat", "beat has started"), "beat has said so")["poll_every_seconds"] == 0.1


def test_the_settings_reference_is_the_one_the_code_makes() -> None:
    page = (ROOT / "docs" / "reference" / "settings.md").read_text()
    assert page == settings_page(), "run `make docs`"


def test_the_demo_ends_well_and_leaves_no_process_behind() -> None:
    mark = f"demo-{os.getpid()}"
    demo = on_a_terminal("wanimate-devstack", "demo", environment={"WANIMATE_TEST_MARK": mark}, columns=DEMO_COLUMNS)
    assert demo.exit_code == 0, demo.text
    results = [line for line in demo.lines if "videos/2" in line]
    assert len(results) == 39
    assert "ContentViolation" in demo.text
    figures = ("makespan", "max in flight", "requests", "429 responses", "polls per job", "videos kept", "events")
    for figure in (*figures, "Flower"):
        assert figure in demo.text
    title = "A terminal running make demo: forty jobs through ten slots, each paid once, each video kept"
    take_terminal_picture(_without(results[6:-3], demo.lines), "demo", DEMO_COLUMNS, title, "make demo")
    eventually(lambda: not _processes_with(f"WANIMATE_TEST_MARK={mark}"), "every process has ended")


def _without(hidden: list[str], lines: list[str]) -> list[str]:
    """Return the lines without those that are hidden, and how many there were where they were."""
    shown: list[str] = []
    for is_hidden, group in groupby(lines, key=hidden.__contains__):
        several = list(group)
        shown += [f"\x1b[2m  … {len(several)} more results …\x1b[0m"] if is_hidden else several
    return shown


def _processes_with(variable: str) -> list[str]:
    if not Path("/proc").is_dir():
        return []
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if variable.encode() in (entry / "environ").read_bytes() and entry.name != str(os.getpid()):
                found.append((entry / "cmdline").read_text())
        except OSError:
            continue
    return found


def test_a_worker_of_another_account_takes_no_job_from_this_database(stack: Stack) -> None:
    ended = run("celery", "-A", "wanimate_worker", "worker", environment={**stack.environment, "WANIMATE_ACCOUNT": "b"})
    assert ended.returncode == 1
    assert "belongs to the account 'default', not 'b'" in ended.stderr
    assert "Traceback" not in ended.stderr
