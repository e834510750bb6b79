"""A job as the vendor wants to read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wanimate.contract import Job


def request_body(job: Job, callback_url: str | None = None) -> dict[str, Any]:
    """Return the body of the request that creates a task (vendor document, "Request Body" and "Parameters").

    Args:
        job: The job; its queue options (priority, labels, …) are not sent.
        callback_url: Where the vendor reports the end; without it the task is only polled.
    """
    body: dict[str, Any] = {"request_type": "async"}
    if callback_url is not None:
        body = {"request_type": "callback", "callback_url": callback_url}
    given: dict[str, Any] = {
        "mode": "standard",
        "type": job.type,
        "image_urls": [job.image_url],
        "video_urls": [job.video_url],
        "resolution": job.resolution,
        "seed": job.seed,
    }
    if job.prompt is not None:
        given["prompt"] = job.prompt
    return {**body, "provider": job.provider, "input": given}
