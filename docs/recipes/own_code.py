"""A backend's own code: one video for an order, however often it is asked for."""

from wanimate import AnimateJob, Client, ContentViolation


def video_of(order, image_url, video_url):
    """Return the URL of the video; None if the vendor refuses the content."""
    job = AnimateJob(image_url=image_url, video_url=video_url, idempotency_key=f"order-{order}")
    with Client() as client:
        try:
            return client.submit(job).wait(timeout=60).urls[0]
        except ContentViolation:
            return None
