"""What a job's log lines and spans tell, over all the processes that have a part in it."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from celery import Celery, Signature
from harness import PATIENCE_SECONDS, Vendor, eventually, fields_of, job, stack_settings
from opentelemetry.sdk.trace import TracerProvider
from pydantic import SecretStr
from span_collector import Collected, SpanCollector
from wanimate import AnimateJob, AsyncClient, Client, JobFailed, Settings
from wanimate.redis.transport import celery_settings
from wanimate_devstack import SIMULATOR_KEY, Stack, StackOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.trace import SpanContext

#: As in a signed URL of an object store; part of the URL of every job here.
SIGNED_QUERY = "X-Amz-Signature=5f1d"
SECRETS = (SIMULATOR_KEY, SIGNED_QUERY, "a secret prompt")
TRACER = TracerProvider().get_tracer(__name__)


@pytest.fixture(scope="module")
def collector() -> Iterator[SpanCollector]:
    with SpanCollector() as collector:
        yield collector


@pytest.fixture(scope="module")
def stack(collector: SpanCollector) -> Iterator[Stack]:
    options = StackOptions(
        workers=2,
        has_flower=False,
        simulator={"cap": "5", "speed": "40"},
        settings={
            **stack_settings(5, unknown_after_seconds="1"),
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": "process",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
        },
        worker_options=("--concurrency", "4"),
    )
    with Stack(options) as stack:
        yield stack
        assert stack.ended() is None, "a process of the stack ended by itself"


@pytest.fixture(scope="module")
def settings(stack: Stack) -> Settings:
    return Settings(redis_url=SecretStr(stack.redis.url))


@pytest.fixture(scope="module")
def client(settings: Settings) -> Iterator[Client]:
    with Client(settings) as client:
        yield client


def secret_job(marker: str, **fields: Any) -> AnimateJob:
    return AnimateJob(**{**fields_of(f"{marker}&{SIGNED_QUERY}"), "prompt": "a secret prompt", **fields})


def lines(stack: Stack, *names: str) -> list[dict[str, Any]]:
    """Return the log lines of these processes; one that is no JSON object fails."""
    return [json.loads(line) for name in names for line in stack.log(name).split("\n") if line]


def lines_of(stack: Stack, job_id: str) -> list[dict[str, Any]]:
    """Return the lines about one job in the order in which they were written, by any worker."""
    told = [line for line in lines(stack, "worker1", "worker2") if line.get("job_id") == job_id]
    return sorted(told, key=lambda line: line["timestamp"])


def stages(stack: Stack, job_id: str) -> list[str]:
    return [line["stage"] for line in lines_of(stack, job_id) if "stage" in line]


# -- logs -----------------------------------------------------------------------------------------------------------


def test_each_transition_of_a_job_is_one_line_with_what_is_known(stack: Stack, client: Client, vendor: Vendor) -> None:
    handle = client.submit(secret_job("told"))
    result = handle.wait(timeout=PATIENCE_SECONDS)
    eventually(lambda: "delivered" in stages(stack, handle.id), "the last line is written")
    assert stages(stack, handle.id) == ["waiting", "submitting", "running", "settled", "delivered"]
    waiting, submitting, running, settled, delivered = [line for line in lines_of(stack, handle.id) if "stage" in line]
    assert waiting["cause"] == "enqueued"
    assert (submitting["attempt"], running["attempt"], settled["attempt"]) == (1, 1, 1)
    assert submitting["request_id"] == running["request_id"] != settled["request_id"]
    assert running["http_status"] == settled["http_status"] == 200
    assert running["task_id"] == settled["task_id"] == delivered["task_id"] == result.task_id
    assert (settled["outcome"], settled["cause"]) == ("succeeded", "succeeded")
    assert 0 <= submitting["waited_seconds"] < settled["ran_seconds"] <= delivered["total_seconds"]


def test_a_lost_answer_and_its_end_are_told_with_their_causes(stack: Stack, client: Client, vendor: Vendor) -> None:
    vendor.set_faults(drop_answer_rate=1.0)
    handle = client.submit(secret_job("lost"))
    with pytest.raises(JobFailed):
        handle.wait(timeout=PATIENCE_SECONDS)
    eventually(lambda: "delivered" in stages(stack, handle.id), "the last line is written")
    assert stages(stack, handle.id) == ["waiting", "submitting", "unknown", "settled", "delivered"]
    told = {line["stage"]: line for line in lines_of(stack, handle.id) if "stage" in line}
    assert told["unknown"]["cause"]
    assert told["unknown"]["level"] == "error"
    assert told["settled"]["cause"].startswith("SubmissionUnknown")


def test_every_process_writes_json_alone_and_no_secret(stack: Stack, client: Client, vendor: Vendor) -> None:
    handles = client.submit_many(secret_job(f"bulk-{n}", prompt="[violation] a secret prompt") for n in range(3))
    client.wait_all(handles, timeout=PATIENCE_SECONDS)
    eventually(lambda: all("delivered" in stages(stack, handle.id) for handle in handles), "all is written")
    for line in lines(stack, "worker1", "worker2", "beat"):
        assert {"timestamp", "level", "event", "logger"} <= line.keys()
    logs = stack.log("worker1") + stack.log("worker2") + stack.log("beat")
    assert [secret for secret in SECRETS if secret in logs] == []
    assert " ready." in logs, "Celery's own lines are there too"


# -- traces ---------------------------------------------------------------------------------------------------------


def spans_of(collector: SpanCollector, caller: SpanContext, jobs: int) -> list[Collected]:
    """Return the spans of a trace once all jobs of it are delivered."""
    spans = list[Collected]()

    def are_delivered() -> bool:
        spans[:] = collector.of_trace(caller.trace_id)
        return sum(span.name == "wanimate.deliver" for span in spans) >= jobs

    eventually(are_delivered, "the spans of the delivery arrive")
    return spans


def check_trace(collector: SpanCollector, caller: SpanContext, job_ids: list[str]) -> list[Collected]:
    """Check that the trace of the caller's span holds the whole life of these jobs, and nothing else."""
    spans = spans_of(collector, caller, len(job_ids))
    by_job = {
        job_id: {span.name: span for span in spans if span.attributes.get("wanimate.job.id") == job_id}
        for job_id in job_ids
    }
    for job_id, phases in by_job.items():
        recorded = phases["wanimate.job"]
        assert recorded.parent_id == f"{caller.span_id:016x}"
        for name in ("wanimate.wait", "wanimate.submit", "wanimate.run", "wanimate.deliver"):
            assert phases[name].parent_id == recorded.span_id, f"{name} of {job_id}"
        [poll] = [span for span in spans if span.parent_id == phases["wanimate.run"].span_id]
        assert poll.name == "wanimate.poll"
        assert (
            phases["wanimate.submit"].attributes["wanimate.task.id"]
            == phases["wanimate.run"].attributes["wanimate.task.id"]
        )
        in_order = ["wanimate.wait", "wanimate.submit", "wanimate.run", "wanimate.deliver"]
        begins = [phases[name].begun_at_ns for name in in_order]
        assert begins == sorted(begins)
        assert all(span.begun_at_ns <= span.ended_at_ns for span in phases.values())
    assert len(spans) == 6 * len(job_ids)
    return spans


def test_one_trace_goes_from_the_callers_span_to_the_delivery(
    collector: SpanCollector, client: Client, vendor: Vendor
) -> None:
    with TRACER.start_as_current_span("order") as span:
        handle = client.submit(secret_job("traced", resolution="720p"))
    handle.wait(timeout=PATIENCE_SECONDS)
    check_trace(collector, span.get_span_context(), [handle.id])
    assert [secret for secret in SECRETS if secret.encode() in b"".join(collector.bodies)] == []


def test_the_jobs_of_a_bulk_message_share_the_callers_trace_over_all_workers(
    collector: SpanCollector, client: Client, vendor: Vendor
) -> None:
    with TRACER.start_as_current_span("nightly") as span:
        handles = client.submit_many(secret_job(f"traced-{number}") for number in range(15))
    client.wait_all(handles, timeout=PATIENCE_SECONDS)
    spans = check_trace(collector, span.get_span_context(), [handle.id for handle in handles])
    assert len({each.pid for each in spans}) == 2


def test_a_trace_is_taken_over_from_the_async_client(
    collector: SpanCollector, settings: Settings, vendor: Vendor
) -> None:
    async def run() -> str:
        async with AsyncClient(settings) as client:
            handle = await client.submit(secret_job("traced-async"))
            await handle.wait(timeout=PATIENCE_SECONDS)
            return handle.id

    with TRACER.start_as_current_span("async") as span:
        job_id = asyncio.run(run())
    check_trace(collector, span.get_span_context(), [job_id])


def test_a_trace_is_taken_over_from_a_signature(collector: SpanCollector, settings: Settings, vendor: Vendor) -> None:
    with Celery("caller", set_as_current=False) as app, TRACER.start_as_current_span("celery") as span:
        app.conf.update(celery_settings(settings))
        result = Signature.from_dict(job("traced-signature").signature(), app=app).apply_async()
        result.get(timeout=PATIENCE_SECONDS)
        check_trace(collector, span.get_span_context(), [result.id])
        result.backend.remove_pending_result(result)


def test_a_job_without_a_caller_in_a_span_begins_a_trace_of_its_own(
    collector: SpanCollector, client: Client, vendor: Vendor
) -> None:
    handle = client.submit(secret_job("alone"))
    handle.wait(timeout=PATIENCE_SECONDS)

    def own() -> list[Collected]:
        return [span for span in collector.spans() if span.attributes.get("wanimate.job.id") == handle.id]

    eventually(lambda: any(span.name == "wanimate.deliver" for span in own()), "its spans arrive")
    assert len({span.trace_id for span in own()}) == 1
    assert [span.name for span in own() if not span.parent_id] == ["wanimate.job"]
