"""Upload two local files to a bucket of yours, and enqueue a job with signed links to them."""

import os
import sys
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import obstore
from obstore.store import from_url
from wanimate import Client

WAIT = timedelta(days=1)  # the longest that the job may wait and run
bucket = from_url(os.environ["UPLOADS_URL"])  # s3://my-uploads; credentials come from AWS_* variables


def upload(path: Path) -> str:
    name = f"{uuid4()}{path.suffix.lower()}"
    obstore.put(bucket, name, path)
    return obstore.sign(bucket, "GET", name, WAIT + timedelta(hours=1))


image_url, video_url = (upload(Path(argument)) for argument in sys.argv[1:3])
with Client() as client:
    job = client.animate(image_url=image_url, video_url=video_url, deadline_seconds=WAIT.total_seconds())
    print(job.id, flush=True)
    print(job.wait().urls[0])
