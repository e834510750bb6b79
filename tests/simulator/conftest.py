"""Simulators to test against: one on a manual clock, one behind ASGI, and a real process."""

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from wanimate_simulator import Faults, Options, Simulator, build_app
from wanimate_simulator.answers import Answer
from wanimate_simulator.clock import Clock
from wanimate_simulator.faults import FaultBoard
from wanimate_simulator.task import Task
from wanimate_simulator.truth import Truth
from wanimate_simulator.vendor import Vendor

KEY = "simulator-key"
SUBMIT = "/api/v1/generateTask/wan-2-2-animate"
STATUS = "/api/v1/statusTask/wan-2-2-animate"


def a_request(marker: str | None = "job-1", *, callback_url: str | None = None, **changes: Any) -> dict[str, Any]:
    query = f"?marker={marker}" if marker is not None else ""
    input_ = {
        "mode": "standard",
        "type": "animate",
        "image_urls": [f"https://example.com/a.png{query}"],
        "video_urls": ["https://example.com/motion.mp4"],
        **changes,
    }
    if callback_url is not None:
        return {"request_type": "callback", "callback_url": callback_url, "input": input_}
    return {"request_type": "async", "input": input_}


@dataclass
class Bench:
    """A vendor whose time passes only when a test says so."""

    options: Options
    unix_seconds: float = 1_700_000_000.0
    now_seconds: float = 0.0
    callback_tasks: list[Task] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clock = Clock(self.options.speed, monotonic=lambda: self.now_seconds, unix=lambda: self.unix_seconds)
        self.board = FaultBoard(seed=self.options.seed, current=Faults())
        self.truth = Truth(self.clock.real_seconds(60.0))
        self.vendor = Vendor(self.options, self.clock, self.board, self.truth, self.callback_tasks.append)

    def submit(self, marker: str | None = "job-1", *, key: str = KEY, **changes: Any) -> Answer:
        body = json.dumps(a_request(marker, **changes)).encode()
        return self.vendor.submit(f"Bearer {key}".encode(), body, "http://vendor")

    def accept(self, marker: str | None = "job-1", **changes: Any) -> str:
        answer = self.submit(marker, **changes)
        assert answer.code == 200, answer
        return str(json.loads(answer.body or b"")["data"]["taskId"])

    def status(self, task_id: str | None, *, key: str = KEY) -> Answer:
        return self.vendor.status(f"Bearer {key}".encode(), task_id)

    def data(self, task_id: str) -> dict[str, Any]:
        answer = self.status(task_id)
        assert answer.code == 200, answer
        data: dict[str, Any] = json.loads(answer.body or b"")["data"]
        return data


@pytest.fixture
def bench() -> Callable[..., Bench]:
    return lambda **options: Bench(Options(**{"length_share": 0.0, **options}))


@pytest.fixture
def request_for() -> Callable[..., dict[str, Any]]:
    return a_request


@pytest.fixture
def eventually() -> Callable[..., Any]:
    def wait_for(ask: Callable[[], Any], *, deadline_seconds: float = 10.0) -> Any:
        until = time.monotonic() + deadline_seconds
        while not (answer := ask()):
            assert time.monotonic() < until, "it did not happen in time"
            time.sleep(0.01)
        return answer

    return wait_for


@pytest.fixture
def converse() -> Callable[..., Any]:
    """Run a conversation with a simulator in this process."""

    def run(conversation: Callable[[httpx.AsyncClient], Awaitable[Any]], **options: Any) -> Any:
        async def talk() -> Any:
            simulator = Simulator(Options(**options))
            transport = httpx.ASGITransport(build_app(simulator))
            headers = {"Authorization": f"Bearer {KEY}"}
            async with httpx.AsyncClient(transport=transport, base_url="http://simulator", headers=headers) as client:
                try:
                    return await conversation(client)
                finally:
                    await simulator.close()

        return asyncio.run(talk())

    return run


@contextmanager
def running(stderr: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-m", "wanimate_simulator", "--port", "0", *arguments]
    with (
        stderr.open("w") as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as process,
    ):
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().rstrip("\n")
        finally:
            process.terminate()
            process.wait(10)


@pytest.fixture
def launch(tmp_path: Path) -> Callable[..., AbstractContextManager[tuple[subprocess.Popen[str], str]]]:
    """Start a simulator process of one's own; gives the process and its ready line."""
    return lambda *arguments: running(tmp_path / "stderr", *arguments)


@pytest.fixture(scope="session")
def live_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A simulator process; a task takes about 0.1 real seconds. It must not write a word to its log."""
    stderr = tmp_path_factory.mktemp("live") / "stderr"
    with running(stderr, "--speed", "200", "--mean-seconds", "20", "--length-share", "0") as (process, line):
        yield line.split(" ")[3]
        process.terminate()
        assert process.wait(10) == 0
    assert stderr.read_text() == ""


@pytest.fixture
def live(live_url: str) -> Iterator[httpx.Client]:
    """A client of a real simulator process that has forgotten everything, with a valid key."""
    defaults = {
        "cap": 1000,
        "rate": 10_000,
        "speed": 200,
        "seed": 0,
        "mean_seconds": 20,
        "sigma": 0.3,
        "length_share": 0,
        "result_ttl_seconds": 86_400,
        "video_bytes": 20_000,
    }
    with httpx.Client(base_url=live_url, headers={"Authorization": f"Bearer {KEY}"}, trust_env=False) as client:
        client.post("/simulator/reset", json=defaults).raise_for_status()
        yield client
        client.post("/simulator/reset", json=defaults).raise_for_status()


@pytest.fixture
def result_url(live: httpx.Client, eventually: Callable[..., Any]) -> Callable[..., str]:
    """Submit a request, wait until its task has ended, and return where its video is."""

    def submit(**request: Any) -> str:
        task_id = live.post(SUBMIT, json=a_request(**request)).json()["data"]["taskId"]

        def told() -> dict[str, Any] | None:
            data: dict[str, Any] = live.get(STATUS, params={"taskId": task_id}).json()["data"]
            return data if "resultJson" in data else None

        return str(json.loads(eventually(told)["resultJson"])["resultUrls"][0])

    return submit


class Receiver:
    """Keeps the bodies POSTed to it; answers the codes it is told to, then 200."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.bodies: list[dict[str, Any]] = []
        self.arrived_at_ms: list[float] = []
        self.codes: list[int] = []
        self.delay_seconds = 0.0
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.arrived_at_ms.append(time.time() * 1000)
                receiver.paths.append(self.path)
                receiver.bodies.append(json.loads(body))
                time.sleep(receiver.delay_seconds)
                self.send_response(receiver.codes.pop(0) if receiver.codes else 200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/callback"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    with receiver.server:
        thread = threading.Thread(target=receiver.server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield receiver
        receiver.server.shutdown()
        thread.join()


@pytest.fixture
def set_faults(live: httpx.Client) -> Callable[..., None]:
    def put(**switches: Any) -> None:
        answer = live.put("/simulator/faults", json=switches)
        assert answer.status_code == 200, answer.text

    return put
