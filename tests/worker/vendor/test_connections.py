from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from wanimate_worker.vendor import Accepted, Pending, VendorClient, transport

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest
    from wanimate.contract import AnimateJob

ACCEPTED = '{"code": 200, "message": "success", "data": {"taskId": "task_1"}}'
PROCESSING = '{"code": 200, "message": "success", "data": {"state": "processing"}}'


def test_one_thread_uses_one_connection_for_all_its_requests(server: Any, client: VendorClient) -> None:
    server.answers(PROCESSING)
    assert {client.status("t") for _ in range(10)} == {Pending("processing")}
    assert server.connections == 1


def test_no_connection_is_opened_before_the_first_request(server: Any, connect: Callable[..., VendorClient]) -> None:
    connect()
    assert server.connections == 0


def test_each_thread_has_a_connection_of_its_own(server: Any, client: VendorClient) -> None:
    server.answers(PROCESSING)
    everyone = threading.Barrier(4)

    def ask(_: int) -> object:
        everyone.wait(10)
        return client.status("t")

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(ask, range(4))) == {Pending("processing")}
    assert server.connections == 4


def test_the_connection_of_a_thread_ends_with_the_thread(server: Any, client: VendorClient) -> None:
    server.answers(PROCESSING)
    thread = threading.Thread(target=client.status, args=("t",))
    thread.start()
    thread.join(10)
    assert server.closed.acquire(timeout=10)


def test_closing_closes_the_connections_of_all_threads_and_allows_new_ones(server: Any, client: VendorClient) -> None:
    server.answers(PROCESSING)
    asked, may_end = threading.Event(), threading.Event()

    def ask() -> None:
        client.status("t")
        asked.set()
        may_end.wait(10)

    thread = threading.Thread(target=ask)
    thread.start()
    client.status("t")
    assert asked.wait(10)
    client.close()
    client.close()
    assert server.closed.acquire(timeout=10)
    assert server.closed.acquire(timeout=10)
    may_end.set()
    thread.join(10)
    assert client.status("t") == Pending("processing")
    assert server.connections == 3


def test_a_connection_the_server_closed_while_idle_is_not_used_for_a_submission(
    server: Any, client: VendorClient, job: AnimateJob
) -> None:
    server.answers(ACCEPTED, then_close=True)
    for _ in range(5):
        assert client.submit(job) == Accepted("task_1")
        assert server.closed.acquire(timeout=10)


def test_a_connection_idle_for_longer_than_the_bound_is_not_used_again(
    server: Any, client: VendorClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "KEEPALIVE_EXPIRY_SECONDS", 0.0)
    server.answers(PROCESSING)
    client.status("t")
    client.status("t")
    assert server.connections == 2


def test_a_fork_never_writes_to_its_parents_connection(server: Any) -> None:
    server.answers(PROCESSING)
    script = f"""
        import os
        from pydantic import SecretStr
        from wanimate_worker.vendor import Pending, VendorClient

        client = VendorClient("http://{server.address}", SecretStr("key"))
        assert client.status("parent") == Pending("processing")
        child = os.fork()
        if child == 0:
            os._exit(0 if client.status("child") == Pending("processing") else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert client.status("parent") == Pending("processing")
        client.close()
    """
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(script)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert server.connections == 2  # the parent's, used twice, and the child's
