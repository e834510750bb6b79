"""The recipes, run with the commands of their page, over HTTP and against the whole stack."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import pytest
from harness import eventually
from recipe import PAGE, PAGES, RECIPES, Recipe
from standardwebhooks import Webhook

if TYPE_CHECKING:
    from pathlib import Path

    import httpx
    from wanimate import Client
    from wanimate_devstack import Simulator

SOURCES: Final = sorted(path for path in RECIPES.rglob("*.py") if path.name != "__init__.py")
#: What the page has its reader type to enqueue from Celery.
CALL: Final = next(line[2:] for line in PAGE.splitlines() if line.startswith("$ celery") and " call " in line)
INPUT: Final = {"image_url": "https://example.com/a.png", "video_url": "https://example.com/b.mp4"}


def url_of(simulator: Simulator) -> str:
    """Return the URL of the one video that was billed."""
    [video] = simulator.videos()
    return str(video["url"])


def finished(http: httpx.Client, path: str) -> Any:
    """Return what a backend responds about a video once its job has ended."""

    def ended() -> Any:
        answer = http.get(path).raise_for_status().json()
        return answer if answer["state"] != "pending" else None

    return eventually(ended, "the backend knows how the job ended")


def forged(http: httpx.Client) -> int:
    """Return how a backend answers a webhook with a wrong signature."""
    headers = {"webhook-id": "1-1", "webhook-timestamp": "1", "webhook-signature": "v1,AAAA"}
    return http.post("/webhooks/wanimate", content=b"{}", headers=headers).status_code


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_show_the_tested_sources(page: Path) -> None:
    shown = re.findall(
        r"\[`([\w/.]+)`\]\([^)]*\)[^\n]*:\n\n```python\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL
    )
    assert shown
    for name, source in shown:
        assert source == (RECIPES / name).read_text()


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(RECIPES)))
def test_each_recipe_is_linked_from_a_page(source: Path) -> None:
    assert re.search(rf"\]\((recipes/)?{source.relative_to(RECIPES)}\)", PAGE)


@pytest.mark.parametrize(
    "names", [*([path.name] for path in sorted(RECIPES.glob("*.py"))), ["shop/models.py", "shop/views.py"]]
)
def test_a_backend_takes_fewer_than_forty_lines(names: list[str]) -> None:
    assert sum(bool(line) for name in names for line in (RECIPES / name).read_text().splitlines()) < 40


def test_fastapi_receives_a_webhook(recipe: Recipe, wanimate_simulator: Simulator) -> None:
    http = recipe.serve("uvicorn fastapi_webhook:app --port 8000")
    assert http.post("/videos/anna", params=INPUT).status_code == 202
    assert finished(http, "/videos/anna") == {"state": "succeeded", "url": url_of(wanimate_simulator)}
    assert forged(http) == 400


def test_flask_acts_once_on_a_webhook_that_comes_twice(
    recipe: Recipe, wanimate_client: Client, wanimate_simulator: Simulator
) -> None:
    http = recipe.serve("flask --app flask_webhook run --port 8000")
    assert http.post("/videos/dora", params=INPUT).status_code == 202
    assert finished(http, "/videos/dora") == {"state": "succeeded", "url": url_of(wanimate_simulator)}
    [event] = wanimate_client.events(timeout=0)
    body, sent_at = json.dumps(event.to_webhook()), datetime.now(UTC)
    headers = {
        "webhook-id": event.id,
        "webhook-timestamp": str(int(sent_at.timestamp())),
        "webhook-signature": Webhook(recipe.environment["WANIMATE_WEBHOOK_SECRET"]).sign(event.id, sent_at, body),
    }
    assert http.post("/webhooks/wanimate", content=body, headers=headers).status_code == 204
    assert recipe.log("flask").count("a mail to the customer") == 1
    assert forged(http) == 400


def test_fastapi_reads_events(recipe: Recipe, wanimate_simulator: Simulator) -> None:
    http = recipe.serve("uvicorn fastapi_events:app --port 8000")
    assert http.post("/videos/ben", params=INPUT).status_code == 202
    stored = "SELECT state, url FROM videos WHERE name = 'ben'"
    rows = eventually(lambda: recipe.rows("videos.db", stored), "the event is stored")
    assert rows == [("succeeded", url_of(wanimate_simulator))]


def test_django_enqueues_on_commit_and_receives_a_webhook(recipe: Recipe, wanimate_simulator: Simulator) -> None:
    recipe.environment["DJANGO_SETTINGS_MODULE"] = "shop.settings"
    recipe.run("python -m django migrate --run-syncdb")
    http = recipe.serve("python -m django runserver 8000 --noreload")
    assert http.post("/videos", data=INPUT).status_code == 202
    stored = "SELECT state, result_url FROM shop_video WHERE state != 'pending'"
    rows = eventually(lambda: recipe.rows("shop.db", stored), "the webhook has come")
    assert rows == [("succeeded", url_of(wanimate_simulator))]
    assert forged(http) == 400


@pytest.mark.parametrize("module", ["celery_chain", "celery_by_name"])
def test_a_celery_app_runs_its_next_task_after_a_job(
    recipe: Recipe, wanimate_simulator: Simulator, module: str
) -> None:
    if module == "celery_by_name":
        recipe.hide("wanimate")
    recipe.start("celery -A celery_chain worker", celery_chain=module)
    recipe.run(CALL, celery_chain=module)
    rows = eventually(lambda: recipe.rows("videos.db", "SELECT * FROM videos"), "the next task has run")
    assert rows == [("cleo", "succeeded", url_of(wanimate_simulator))]


def test_a_celery_app_without_the_library_runs_its_errback(recipe: Recipe, wanimate_simulator: Simulator) -> None:
    recipe.hide("wanimate")
    wanimate_simulator.fail_with("CONTENT_VIOLATION")
    recipe.start("celery -A celery_chain worker", celery_chain="celery_by_name")
    recipe.run(CALL, celery_chain="celery_by_name")
    rows = eventually(lambda: recipe.rows("videos.db", "SELECT * FROM videos"), "the errback has run")
    assert rows == [("cleo", "failed", None)]


def test_a_script_that_is_started_again_misses_no_event_and_gets_none_twice(
    recipe: Recipe, wanimate_client: Client
) -> None:
    job_ids = []
    for _ in range(2):
        job = wanimate_client.animate(**INPUT)
        job.wait(timeout=60)
        job_ids.append(job.id)
        script = recipe.start("python events_script.py")
        eventually(lambda: job.id in script.log_path.read_text(), "the script has the event")  # noqa: B023
        script.stop()
    stored = [job_id for (job_id,) in recipe.rows("videos.db", "SELECT job_id FROM videos ORDER BY rowid")]
    assert stored == job_ids
