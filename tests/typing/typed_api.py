# pyright: strict, reportUnnecessaryTypeIgnoreComment=true
"""How the public API reads to a type checker; mypy and pyright check this file, nobody runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_type

from wanimate import (
    AnimateJob,
    AsyncClient,
    AsyncJobHandle,
    CancelOutcome,
    Client,
    Event,
    EventError,
    JobFailed,
    JobHandle,
    JobState,
    JobStatus,
    KeptFile,
    ReplaceJob,
    Result,
    ResultExpired,
    Settings,
    errors,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

IMAGE = "https://example.com/character.png"
VIDEO = "https://example.com/motion.mp4"


def blocking(jobs: Iterator[AnimateJob | ReplaceJob]) -> None:
    with Client(Settings()) as client:
        assert_type(client, Client)
        job = client.animate(
            image_url=IMAGE,
            video_url=VIDEO,
            prompt="go",
            resolution="720p",
            seed=42,
            provider="official",
            priority=0,
            labels={"order": "7"},
            idempotency_key="order-7",
            on_unknown="fail",
            retry_transient=2,
            deadline_seconds=600,
            video_seconds=12.5,
            webhook_url="https://example.com/hook",
        )
        assert_type(job, JobHandle)
        assert_type(job.id, str)
        assert_type(job.status(), JobStatus)
        assert_type(job.status().state, JobState)
        assert_type(job.wait(timeout=600), Result)
        assert_type(job.wait(allow_expired=True).urls, tuple[str, ...])
        assert_type(job.wait().files, tuple[KeptFile, ...])
        assert_type(job.download_url(600, index=1), str)
        assert_type(job.cancel(), CancelOutcome)
        assert_type(client.replace(image_url=IMAGE, video_url=VIDEO), JobHandle)
        assert_type(client.submit(AnimateJob(image_url=IMAGE, video_url=VIDEO)), JobHandle)
        assert_type(client.submit_many(jobs), list[JobHandle])
        assert_type(client.submit_many([ReplaceJob(image_url=IMAGE, video_url=VIDEO)]), list[JobHandle])
        assert_type(client.job("id"), JobHandle)
        assert_type(client.wait_all([job], timeout=1), list[Result | JobFailed | ResultExpired])
        for handle, outcome in client.as_completed([job]):
            assert_type(handle, JobHandle)
            assert_type(outcome, Result | JobFailed | ResultExpired)


def reading(client: Client, body: bytes, headers: dict[str, str]) -> None:
    for event in client.events("1764590000000-0", timeout=1, group="g", consumer="c"):
        assert_type(event, Event)
        assert_type(event.result, Result | None)
        assert_type(event.error, EventError | None)
        assert_type(event.exception(), JobFailed | None)
    assert_type(Event.from_webhook(body, headers, "whsec_"), Event)
    assert_type(Event.from_webhook("", headers, ["whsec_", "whsec_"]), Event)


async def asynchronous(jobs: Iterator[AnimateJob | ReplaceJob]) -> None:
    async with AsyncClient() as client:
        assert_type(client, AsyncClient)
        job = await client.animate(image_url=IMAGE, video_url=VIDEO, resolution="480p")
        assert_type(job, AsyncJobHandle)
        assert_type(await job.status(), JobStatus)
        assert_type(await job.wait(timeout=600), Result)
        assert_type(await job.download_url(), str)
        assert_type(await job.cancel(), CancelOutcome)
        async for event in client.events(timeout=0):
            assert_type(event, Event)
        assert_type(await client.replace(image_url=IMAGE, video_url=VIDEO), AsyncJobHandle)
        assert_type(await client.submit(AnimateJob(image_url=IMAGE, video_url=VIDEO)), AsyncJobHandle)
        assert_type(await client.submit_many(jobs), list[AsyncJobHandle])
        assert_type(await client.wait_all([job]), list[Result | JobFailed | ResultExpired])
        async for handle, outcome in client.as_completed([job], timeout=1):
            assert_type(handle, AsyncJobHandle)
            assert_type(outcome, Result | JobFailed | ResultExpired)


def failing(job: JobHandle) -> None:
    try:
        job.wait()
    except errors.JobFailed as error:
        assert_type(error.code, str | None)
        assert_type(error.message, str)


def refused(client: Client, job: JobHandle) -> None:
    client.animate(video_url=VIDEO)  # type: ignore[call-arg]
    client.animate(IMAGE, VIDEO)  # type: ignore[call-arg]
    client.animate(image_url=IMAGE, video_url=VIDEO, resolution="1080p")  # type: ignore[arg-type]
    client.animate(image_url=IMAGE, video_url=VIDEO, seed="42")  # type: ignore[arg-type]
    client.animate(image_url=[IMAGE], video_url=VIDEO)  # type: ignore[arg-type]
    client.animate(image_url=IMAGE, video_url=VIDEO, mode="standard")  # type: ignore[call-arg]
    client.replace(image_url=IMAGE, video_url=VIDEO, provider="cheapest")  # type: ignore[arg-type]
    client.submit({"type": "animate"})  # type: ignore[arg-type]
    client.submit_many(["job"])  # type: ignore[list-item]
    AnimateJob(image_url=IMAGE)  # type: ignore[call-arg]
    AnimateJob(image_url=IMAGE, video_url=VIDEO, resolution="1080p")  # type: ignore[arg-type]
    job.wait(timeout="600")  # type: ignore[arg-type]
