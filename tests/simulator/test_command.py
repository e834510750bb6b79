"""The command starts, tells where it listens and ends cleanly."""

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest
from help_pages import check_page, help_pages
from wanimate_simulator.cli import main

# Each test starts the command.
pytestmark = pytest.mark.slow

SUBMIT = "/api/v1/generateTask/wan-2-2-animate"
Launch = Callable[..., AbstractContextManager[tuple["subprocess.Popen[str]", str]]]


def failing(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "wanimate_simulator", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_it_prints_one_line_and_ends_with_zero_on_a_signal(launch: Launch, tmp_path: Path, end: signal.Signals) -> None:
    with launch() as (process, line):
        url = line.split(" ")[3]
        assert httpx.get(f"{url}/simulator/health", trust_env=False).status_code == 200

        process.send_signal(end)

        assert process.wait(10) == 0
        assert process.stdout is not None
        assert process.stdout.read() == ""

    assert re.fullmatch(
        r"wanimate-simulator ready on http://127\.0\.0\.1:\d+ \(cap 1000, 10000 requests per minute, speed 1x\)",
        line,
    )
    assert (tmp_path / "stderr").read_text() == ""


def test_its_options_reach_the_simulator(launch: Launch, request_for: Callable[..., Any]) -> None:
    arguments = ("--cap", "3", "--rate", "50", "--speed", "2.5", "--seed", "4", "--quiet")
    keys = ("--api-key", "first", "--api-key", "second")
    faults = ("--faults", '{"unknown_fields": true}')
    with launch(*arguments, *keys, *faults) as (_, line), httpx.Client(trust_env=False) as client:
        url = line.split(" ")[3]
        assert line.endswith("(cap 3, 50 requests per minute, speed 2.5x)")
        summary = client.get(f"{url}/simulator/summary").json()
        assert [summary[name] for name in ("cap", "rate", "speed", "seed")] == [3, 50, 2.5, 4]
        for key in ("first", "second"):
            headers = {"Authorization": f"Bearer {key}"}
            answer = client.post(f"{url}{SUBMIT}", json=request_for(), headers=headers)
            assert answer.status_code == 200
            assert "requestId" in answer.json()
        reset = client.post(f"{url}/simulator/reset").json()
        assert (reset["cap"], client.get(f"{url}/simulator/faults").json()["unknown_fields"]) == (3, True)


def test_it_ends_at_once_though_answers_callbacks_and_connections_are_pending(
    launch: Launch,
    tmp_path: Path,
    request_for: Callable[..., Any],
) -> None:
    faults = ("--faults", '{"latency_ms": 60000}')
    with launch(*faults) as (process, line), httpx.Client(base_url=line.split(" ")[3], trust_env=False) as client:
        port = client.base_url.port
        assert port is not None
        client.get("/simulator/health")
        with socket.create_connection(("127.0.0.1", port)) as waiting:
            body = httpx.Request(
                "POST",
                f"http://127.0.0.1{SUBMIT}",
                json=request_for(callback_url="http://127.0.0.1:9/"),
                headers={"Authorization": "Bearer simulator-key"},
            )
            head = "".join(f"{name}: {value}\r\n" for name, value in body.headers.items())
            waiting.sendall(f"POST {SUBMIT} HTTP/1.1\r\n{head}\r\n".encode() + body.content)
            while client.get("/simulator/summary").json()["accepted"] == 0:
                pass

            process.send_signal(signal.SIGTERM)

            assert process.wait(5) == 0
            assert waiting.recv(100).startswith(b"HTTP/1.1 200 ")
    assert (tmp_path / "stderr").read_text() == ""


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com"])
def test_it_refuses_to_listen_beyond_this_machine(host: str) -> None:
    ended = failing("--host", host, "--port", "0")

    assert ended.returncode == 2
    assert "--allow-non-loopback" in ended.stderr
    assert ended.stdout == ""


def test_it_listens_beyond_this_machine_if_allowed(launch: Launch) -> None:
    with launch("--host", "0.0.0.0", "--allow-non-loopback") as (_, line):
        assert line.startswith("wanimate-simulator ready on http://0.0.0.0:")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--faults", '{"no_such_fault": 1}'),
        ("--faults", "{"),
        ("--faults", '{"refuse_for_seconds": 1}'),
        ("--cap", "0"),
        ("--speed", "0"),
        ("--plan", "gold"),
        ("--length-share", "1.1"),
        ("--balance-usd", "-1"),
        ("--failure-codes", "{}"),
        ("--failure-codes", "["),
        ("--failure-codes", '{"NSFW": 0}'),
        ("--failure-rate", "0.6", "--content-violation-rate", "0.6"),
        ("--api-key", ""),
        ("--video-bytes", "999"),
    ],
)
def test_it_refuses_options_that_make_no_sense(arguments: tuple[str, ...]) -> None:
    ended = failing("--port", "0", *arguments)

    assert ended.returncode != 0
    assert ended.stderr
    assert "Traceback" not in ended.stderr


def test_it_says_so_if_the_port_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = failing("--port", str(taken.getsockname()[1]))

    assert ended.returncode == 1
    assert "in use" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "limits"),
    [
        (("--plan", "free"), "cap 3, 10 requests"),
        (("--plan", "pro", "--rate", "90"), "cap 10, 90 requests"),
        (("--plan", "enterprise", "--cap", "7"), "cap 7, 1000 requests"),
    ],
)
def test_a_plan_is_a_shorthand_for_its_limits(launch: Launch, arguments: tuple[str, ...], limits: str) -> None:
    with launch(*arguments) as (_, line):
        assert limits in line


PAGES = help_pages("wanimate-simulator", main)


@pytest.mark.parametrize("name", PAGES)
def test_help_fits_80_columns_and_its_example_is_valid(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANIMATE_API_KEY", "simulator-key")
    check_page(PAGES[name])
