from __future__ import annotations

from wanimate.contract import AnimateJob, ReplaceJob
from wanimate_worker.vendor.request import request_body


def test_a_plain_job_is_polled_and_sends_what_the_vendor_requires() -> None:
    job = AnimateJob(image_url="https://example.com/c.png", video_url="https://example.com/m.mp4")
    assert request_body(job) == {
        "request_type": "async",
        "provider": "auto",
        "input": {
            "mode": "standard",
            "type": "animate",
            "image_urls": ["https://example.com/c.png"],
            "video_urls": ["https://example.com/m.mp4"],
            "resolution": "480p",
            "seed": -1,
        },
    }


def test_a_job_with_everything_sends_everything_but_its_queue_options() -> None:
    job = ReplaceJob(
        image_url="https://example.com/c.png",
        video_url="https://example.com/m.mp4",
        prompt="keep the face",
        resolution="720p",
        seed=42,
        provider="official",
        priority=1,
        labels={"team": "ads"},
        idempotency_key="k",
        on_unknown="resubmit",
    )
    assert request_body(job, "https://us.example/cb") == {
        "request_type": "callback",
        "callback_url": "https://us.example/cb",
        "provider": "official",
        "input": {
            "mode": "standard",
            "type": "replace",
            "image_urls": ["https://example.com/c.png"],
            "video_urls": ["https://example.com/m.mp4"],
            "prompt": "keep the face",
            "resolution": "720p",
            "seed": 42,
        },
    }
