"""The backends of `docs/recipes`, run as their page has its reader run them: over HTTP, against the whole stack."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

import pytest
from harness import eventually
from recipe import PAGE, RECIPES, Recipe
from wanimate import Client, Settings

if TYPE_CHECKING:
    import httpx
    from harness import Vendor
    from wanimate_devstack import Stack

SOURCES: Final = sorted(path for path in RECIPES.rglob("*.py") if path.name != "__init__.py")
INPUT: Final = {"image_url": "https://example.com/a.png", "video_url": "https://example.com/b.mp4"}


def url_of(vendor: Vendor) -> str:
    """Return where the vendor serves the one video that was paid for."""
    (task,) = vendor.tasks()
    return vendor.result_url(task)


def finished(http: httpx.Client, path: str) -> Any:
    """Return what a backend answers about a video once it knows its end."""

    def ended() -> Any:
        answer = http.get(path).raise_for_status().json()
        return answer if answer["state"] != "pending" else None

    return eventually(ended, "the backend knows how the job ended")


def forged(http: httpx.Client) -> int:
    """Return how a backend answers a webhook that somebody else has signed."""
    headers = {"webhook-id": "1-1", "webhook-timestamp": "1", "webhook-signature": "v1,AAAA"}
    return http.post("/webhooks/wanimate", content=b"{}", headers=headers).status_code


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(RECIPES)))
def test_the_page_shows_the_tested_source(source: Any) -> None:
    shown = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert source.read_text() in shown
    assert len(shown) == len(SOURCES)


@pytest.mark.parametrize("names", [["fastapi_webhook.py"], ["fastapi_events.py"], ["shop/models.py", "shop/views.py"]])
def test_a_backend_takes_fewer_than_forty_lines(names: list[str]) -> None:
    assert sum(bool(line) for name in names for line in (RECIPES / name).read_text().splitlines()) < 40


def test_fastapi_is_told_by_a_webhook(recipe: Recipe, vendor: Vendor) -> None:
    http = recipe.serve("uvicorn fastapi_webhook:app --port 8000")
    assert http.post("/videos/anna", params=INPUT).status_code == 202
    assert finished(http, "/videos/anna") == {"state": "succeeded", "url": url_of(vendor)}
    assert forged(http) == 400


def test_fastapi_reads_events(recipe: Recipe, vendor: Vendor) -> None:
    http = recipe.serve("uvicorn fastapi_events:app --port 8000")
    assert http.post("/videos/ben", params=INPUT).status_code == 202
    stored = "SELECT state, url FROM videos WHERE name = 'ben'"
    rows = eventually(lambda: recipe.rows("videos.db", stored), "the event is stored")
    assert rows == [("succeeded", url_of(vendor))]


def test_django_enqueues_on_commit_and_is_told_by_a_webhook(recipe: Recipe, vendor: Vendor) -> None:
    recipe.run("python -m django migrate --run-syncdb")
    http = recipe.serve("python -m django runserver 8000 --noreload")
    assert http.post("/videos", data=INPUT).status_code == 202
    stored = "SELECT state, result_url FROM shop_video WHERE state != 'pending'"
    rows = eventually(lambda: recipe.rows("shop.db", stored), "the webhook has come")
    assert rows == [("succeeded", url_of(vendor))]
    assert forged(http) == 400


def test_a_celery_app_goes_on_where_a_job_has_ended(recipe: Recipe, vendor: Vendor) -> None:
    recipe.start("celery -A celery_chain worker")
    arguments = json.dumps(["cleo", *INPUT.values()])
    recipe.run(f"celery -A celery_chain call celery_chain.enqueue --args '{arguments}'")
    rows = eventually(lambda: recipe.rows("videos.db", "SELECT * FROM videos"), "the chain has gone on")
    assert rows == [("cleo", "succeeded", url_of(vendor))]


def test_a_script_that_is_started_again_misses_no_event_and_gets_none_twice(
    recipe: Recipe, stack: Stack, vendor: Vendor
) -> None:
    with Client(Settings(redis_url=stack.redis.url)) as client:
        job_ids = []
        for _ in range(2):
            job = client.animate(**INPUT)
            job.wait(timeout=60)
            job_ids.append(job.id)
            script = recipe.start("python events_script.py")
            eventually(lambda: job.id in script.log_path.read_text(), "the script has the event")  # noqa: B023
            script.stop()
    stored = [job_id for (job_id,) in recipe.rows("videos.db", "SELECT job_id FROM videos ORDER BY rowid")]
    assert stored[-2:] == job_ids
    assert len(set(stored)) == len(stored)
