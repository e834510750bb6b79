"""Redis over TLS, as the user with the fewest rights: everything works, and nothing tells the password."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import trustme
from harness import PATIENCE_SECONDS, Vendor, eventually, job
from pydantic import SecretStr
from secure_redis import PASSWORD, SecureServer, find_tls_server
from wanimate import AsyncClient, Client, JobCancelled, QueueUnavailable, Result, Settings
from wanimate_devstack import Stack, StackOptions, leftovers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.timeout(200)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> SecureServer:
    binary = find_tls_server()
    if binary is None:
        pytest.skip("NOT TESTED: no Redis that speaks TLS was found; run .ci/tools, or on Debian: apt install redis")
    return SecureServer(binary, tmp_path_factory.mktemp("secure"), trustme.CA())


@pytest.fixture(scope="module")
def secure(server: SecureServer) -> Iterator[Stack]:
    options = StackOptions(
        has_callbacks=True,
        redis=lambda _: server,
        simulator={"cap": "5", "speed": "40"},
        settings={
            "WANIMATE_MAX_IN_FLIGHT": "5",
            "WANIMATE_POLL_TICK_SECONDS": "0.1",
            "WANIMATE_HOUSEKEEPING_SECONDS": "0.5",
        },
        worker_options=("--concurrency", "8"),
    )
    with Stack(options) as stack:
        yield stack
        for name in ("worker1", "beat", "callbacks", "flower"):
            assert PASSWORD not in stack.log(name), f"the password is in the log of {name}"
            assert "NOPERM" not in stack.log(name), f"{name} may not do what it must: {stack.log(name)}"


@pytest.fixture
def client(secure: Stack) -> Iterator[Client]:
    with Client(Settings(redis_url=SecretStr(secure.redis.url))) as client:
        yield client


def command(stack: Stack, *arguments: str, url: str) -> subprocess.CompletedProcess[str]:
    environment = {**stack.environment, "WANIMATE_REDIS_URL": url}
    return subprocess.run(
        [sys.executable, "-m", "wanimate_worker.cli", *arguments],
        env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_jobs_give_results_and_are_cancelled_and_run_again(secure: Stack, client: Client, tmp_path: Path) -> None:
    assert secure.simulator_url is not None
    vendor = Vendor(secure.simulator_url)
    handles = client.submit_many(job(f"job-{i}") for i in range(12))
    keyed = client.submit(job("keyed", idempotency_key="key"))
    assert client.submit(job("keyed", idempotency_key="key")).id == keyed.id
    outcomes = client.wait_all([*handles, keyed], timeout=PATIENCE_SECONDS)
    assert all(isinstance(outcome, Result) for outcome in outcomes)
    assert max(vendor.accepted().values()) == 1
    for arguments in (["jobs"], ["pause", "--reason", "night"]):
        done = command(secure, *arguments, url=secure.redis.url)
        assert done.returncode == 0, done.stderr
    held = client.submit(job("held"))
    held.cancel()
    assert isinstance(client.wait_all([held], timeout=PATIENCE_SECONDS)[0], JobCancelled)
    for arguments in (["resume"], ["dead"]):
        done = command(secure, *arguments, url=secure.redis.url)
        assert done.returncode == 0, done.stderr
    eventually(lambda: not leftovers(secure), "nothing left behind")
    vendor.close()


async def _one(settings: Settings) -> Result:
    async with AsyncClient(settings) as client:
        handle = await client.submit(job("async"))
        return await handle.wait(timeout=PATIENCE_SECONDS)


def test_the_async_client_works_too(secure: Stack) -> None:
    import asyncio

    assert asyncio.run(_one(Settings(redis_url=SecretStr(secure.redis.url)))).urls


def test_the_doctor_finds_nothing_wrong(secure: Stack) -> None:
    found = command(secure, "doctor", url=secure.redis.url)
    assert found.returncode == 0, found.stdout + found.stderr


@pytest.mark.parametrize("fault", ["password", "authority"])
def test_a_wrong_password_or_authority_is_told_without_the_password(
    secure: Stack, server: SecureServer, tmp_path: Path, fault: str
) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(other)
    wrong = "hun@ter2"
    url = server.url_with(password=wrong) if fault == "password" else server.url_with(ca_path=other)
    told = "invalid username-password" if fault == "password" else "certificate verify failed"
    with Client(Settings(redis_url=SecretStr(url))) as client, pytest.raises(QueueUnavailable) as caught:
        client.submit(job("never"))
    doctor = command(secure, "doctor", "--no-vendor", url=url)
    jobs = command(secure, "jobs", url=url)
    assert (doctor.returncode, jobs.returncode) == (2, 3)
    for text in (str(caught.value), doctor.stdout, jobs.stderr):
        assert told in text
        assert "check WANIMATE_REDIS_URL" in text
        assert not any(secret in text for secret in (wrong, "hun%40ter2", PASSWORD, "p%40ss"))
