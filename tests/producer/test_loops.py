"""One client in many event loops, threads and processes."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from wanimate import AsyncClient, Client, QueueUnavailable, Result, Settings, WaitTimeout

from .conftest import FIELDS, RESULT, Database, Server

LOOPS = 6


def in_loops(client: AsyncClient, **options: Any) -> list[Result | BaseException]:
    """Wait for one job in several event loops at the same time, each with its own thread, and return how it ended."""
    ready = threading.Barrier(LOOPS)

    async def wait(number: int) -> Result:
        await asyncio.to_thread(ready.wait, 30)
        return await client.job(f"job-{number}").wait(**options)

    def ended(number: int) -> Result | BaseException:
        try:
            return asyncio.run(wait(number))
        except Exception as error:  # noqa: BLE001 - it is the outcome
            return error

    with ThreadPoolExecutor(LOOPS) as threads:
        return list(threads.map(ended, range(LOOPS)))


def test_a_wait_ends_in_time_in_each_of_several_live_loops(settings: Settings, database: Database) -> None:
    client = AsyncClient(settings)
    database.enqueue(*(f"job-{number}" for number in range(LOOPS)))
    for _ in range(3):
        started = time.monotonic()
        ended = in_loops(client, timeout=0.5)
        assert [type(each) for each in ended] == [WaitTimeout] * LOOPS
        assert time.monotonic() - started < 20
    asyncio.run(client.close())


def test_each_of_several_live_loops_gets_its_own_result(settings: Settings, database: Database) -> None:
    client = AsyncClient(settings)
    for number in range(LOOPS):
        results = Result(urls=RESULT.urls, task_id=f"task_{number}")
        database.store(f"job-{number}", "SUCCESS", results.to_json())
    for _ in range(20):
        ended = in_loops(client, timeout=30)
        assert [each.task_id for each in ended if isinstance(each, Result)] == [f"task_{n}" for n in range(LOOPS)]
    asyncio.run(client.close())


def test_a_wait_ends_in_time_when_redis_falls_silent(own_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wanimate.aio.GRACE_SECONDS", 1)

    async def main() -> float:
        async with AsyncClient(Settings(redis_url=own_server.url(), redis_timeout_seconds=60)) as client:
            beside = Database(own_server.url())
            beside.enqueue(*(f"job-{n}" for n in range(50)))
            beside.redis.close()
            await client.job("job-1").status()
            with own_server.silent():
                started = time.monotonic()
                waits = [client.job(f"job-{n}").wait(timeout=0.5) for n in range(50)]
                ended = await asyncio.gather(*waits, return_exceptions=True)
                took = time.monotonic() - started
            assert {type(each) for each in ended} <= {QueueUnavailable, WaitTimeout}
            return took

    assert asyncio.run(main()) < 30


#: A program that forks while both of its clients are busy in other threads, and uses them in the child.
FORKING = """
import asyncio, faulthandler, json, os, signal, sys, threading
from wanimate import AsyncClient, Client, Settings, WaitTimeout

settings = Settings(redis_url=sys.argv[1])
FIELDS = json.loads(sys.argv[2])
faulthandler.register(signal.SIGALRM, chain=True)
client, other = Client(settings), AsyncClient(settings)
client.job("done").wait(timeout=20)

async def busy():
    try:
        await other.job("never").wait(timeout=2)
    except WaitTimeout:
        pass

def busy_too():
    for _ in range(200):
        client.animate(**FIELDS).status()

threads = [threading.Thread(target=lambda: asyncio.run(busy())), *(threading.Thread(target=busy_too) for _ in range(3))]
for thread in threads:
    thread.start()
children = []
for number in range(8):
    child = os.fork()
    if not child:
        signal.alarm(30)
        try:
            assert client.animate(**FIELDS).status().state == "queued"
            assert client.job("done").wait(timeout=20).task_id == "task_1"
            assert asyncio.run(other.job("done").wait(timeout=20)).task_id == "task_1"
            asyncio.run(other.job("never").wait(timeout=0.2))
        except WaitTimeout:
            client.close()
            asyncio.run(other.close())
            os._exit(7)
        finally:
            os._exit(1)
    children.append(child)
for child in children:
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
for thread in threads:
    thread.join()
client.job("done").wait(timeout=20)
client.close()
asyncio.run(other.close())
print("parent and children are done")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no fork")
def test_both_clients_work_in_a_forked_process_and_go_on_in_its_parent(url: str, database: Database) -> None:
    database.succeed("done")
    database.enqueue("never")

    command = [sys.executable, "-W", "ignore", "-c", FORKING, url, json.dumps(FIELDS)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)

    assert ended.stdout == "parent and children are done\n", ended.stderr
    assert "Traceback" not in ended.stderr


def test_one_blocking_client_serves_many_threads(settings: Settings, database: Database) -> None:
    for number in range(20):
        database.succeed(f"job-{number}")
    with Client(settings) as client, ThreadPoolExecutor(20) as threads:
        ids = list(threads.map(lambda n: client.animate(**FIELDS, seed=n).id, range(20)))
        results = list(threads.map(lambda n: client.job(f"job-{n}").wait(timeout=30), range(20)))
    assert len(set(ids)) == len(database.messages()) == 20
    assert results == [RESULT] * 20
