"""What the command line says about the cost of what it enqueues."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from clicked import click_runner
from wanimate.cli import main
from wanimate.contract import Keys

from .conftest import FIELDS, Database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LIMITS = Keys("default").account
OPTIONS = ("--image", FIELDS["image_url"], "--video", FIELDS["video_url"], "--no-wait")


@pytest.fixture
def prices(database: Database) -> Iterator[dict[str, int]]:
    prices = {"price_480p_micro_usd": 40_000, "price_720p_micro_usd": 80_000}
    database.redis.hset(LIMITS, mapping=prices)
    yield prices
    database.redis.delete(LIMITS)


def run(url: str, *arguments: str) -> Any:
    result = click_runner().invoke(main, list(arguments), env={"WANIMATE_REDIS_URL": url})
    assert result.exit_code == 0, result.output
    return result


def test_a_job_says_what_it_will_probably_cost(url: str, prices: dict[str, int]) -> None:
    assert prices
    told = run(url, "animate", *OPTIONS, "--video-seconds", "12.5", "--resolution", "720p").stderr
    assert "Estimated cost: $1.00 for 12 s of video" in told
    assert "Estimated cost: $4.80 for 120 s of video" in run(url, "replace", *OPTIONS).stderr


def test_a_batch_says_what_it_will_probably_cost_in_all(url: str, prices: dict[str, int], tmp_path: Path) -> None:
    assert prices
    lines = [{"type": "animate", **FIELDS, "seed": seed, "video_seconds": 10} for seed in range(3)]
    # The same request is one job, and one payment.
    lines.append({**lines[0], "idempotency_key": "one"})
    lines.append({**lines[0], "idempotency_key": "one"})
    (tmp_path / "jobs.jsonl").write_text("\n".join(map(json.dumps, lines)))
    told = run(url, "batch", str(tmp_path / "jobs.jsonl"), "--no-wait", "--allow-duplicates").stderr
    assert "Estimated cost: $1.60 for 40 s of video" in told


@pytest.mark.parametrize("known", [{}, {"price_720p_micro_usd": 80_000}, {"price_480p_micro_usd": ""}])
def test_without_a_price_nothing_is_said(url: str, database: Database, known: dict[str, Any]) -> None:
    if known:
        database.redis.hset(LIMITS, mapping=known)
    assert "cost" not in run(url, "animate", *OPTIONS).stderr
    database.redis.delete(LIMITS)
