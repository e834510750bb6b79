"""Tracing costs nothing where nobody asks for it, and says so where it is asked for in vain."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from opentelemetry.sdk.trace import TracerProvider
from wanimate.contract.trace_context import current_trace, trace_of
from wanimate_worker.ledger import Submit
from wanimate_worker.telemetry.spans import Spans

TRACER = TracerProvider().get_tracer(__name__)
#: What a producer does, and what a worker does at its start.
PRODUCER = """
from wanimate import AnimateJob
AnimateJob(image_url="https://e.x/a.png", video_url="https://e.x/b.mp4").message_options()
"""
WORKER = """
from wanimate_worker.telemetry import open_tracing
print(type(open_tracing()).__name__)
"""
#: As where it is not installed.
WITHOUT = "import sys; sys.modules['opentelemetry'] = None"


def run(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    command = [sys.executable, "-c", program]
    return subprocess.run(command, capture_output=True, text=True, env={**clean, **environment}, check=True)


def test_a_producer_needs_no_opentelemetry() -> None:
    assert run(WITHOUT + PRODUCER).stderr == ""


@pytest.mark.parametrize(
    "environment", [{}, {"OTEL_TRACES_EXPORTER": "none"}, {"OTEL_SDK_DISABLED": "true", "OTEL_TRACES_EXPORTER": "otlp"}]
)
def test_a_worker_that_is_not_asked_for_traces_needs_no_opentelemetry(environment: dict[str, str]) -> None:
    ended = run(WITHOUT + WORKER, **environment)
    assert ended.stdout.split() == ["Tracing"]
    assert ended.stderr == ""


def test_any_standard_variable_asks_for_traces() -> None:
    assert run(WORKER, OTEL_TRACES_EXPORTER="console").stdout.split() == ["Spans"]


def test_a_worker_without_the_extra_says_what_to_install_and_goes_on() -> None:
    ended = run(WITHOUT + WORKER, OTEL_TRACES_EXPORTER="console")
    assert ended.stdout.split() == ["Tracing"]
    assert "wanimate-worker[otel]" in ended.stderr


def test_without_a_span_a_message_names_no_trace() -> None:
    assert current_trace() == {}


def test_in_a_span_a_message_names_it() -> None:
    with TRACER.start_as_current_span("order") as span:
        context = span.get_span_context()
        assert current_trace() == {
            "traceparent": f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
        }


def test_of_a_foreign_message_only_what_may_be_a_trace_is_kept() -> None:
    assert trace_of({"traceparent": ["x"], "tracestate": "y" * 1000, "baggage": "user=1"}) == {}
    assert trace_of({"traceparent": "x", "tracestate": "a=b", "other": 1}) == {"traceparent": "x", "tracestate": "a=b"}
    assert trace_of(None) == {}


def test_a_job_goes_on_when_its_spans_cannot_be_made(caplog: pytest.LogCaptureFixture) -> None:
    spans = Spans()
    end_span = spans.record({}, "a", {"no": "type"})
    end_span()
    spans.submitted({}, "a", Submit("n", 1, 0, 0), object(), None)  # type: ignore[arg-type]
    assert caplog.text.count("a span was not created") == 2
