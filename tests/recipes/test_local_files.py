"""Local files: uploaded to the caller's own bucket, and sent to the vendor as signed links."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from s3_server import BUCKET, S3Server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from recipe import Recipe
    from wanimate_devstack import Simulator, Stack


@pytest.fixture
def bucket() -> Iterator[S3Server]:
    with S3Server() as server:
        yield server


def test_local_files_reach_the_vendor_as_links_that_outlast_the_deadline(
    recipe: Recipe, bucket: S3Server, wanimate_stack: Stack, wanimate_simulator: Simulator
) -> None:
    contents = {"anna.png": b"an image", "motion.mp4": b"a video"}
    for name, content in contents.items():
        (recipe.folder / name).write_bytes(content)
    recipe.environment |= {"UPLOADS_URL": f"s3://{BUCKET}", **bucket.variables}
    recipe.run("python local_files.py anna.png motion.mp4")

    [task], [video] = wanimate_simulator.tasks(), wanimate_simulator.videos()
    assert recipe.log("python").splitlines()[-1] == video["url"]
    for field, content in zip(("image_urls", "video_urls"), contents.values(), strict=True):
        [link] = task["input"][field]
        assert httpx.get(link, trust_env=False).content == content
        [expires] = parse_qs(urlsplit(link).query)["X-Amz-Expires"]
        assert int(expires) == 25 * 3600
    for name in ("worker1", "beat"):
        assert "X-Amz" not in wanimate_stack.log(name)
