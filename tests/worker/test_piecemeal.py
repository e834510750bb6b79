"""A bulk that cannot be read as a whole: what can be read of it is recorded, and the others are named."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from wanimate_worker.bridge.messages import read_piecemeal

ORDER = {"__type__": "order", "__value__": "7"}


def body(*pairs: Any) -> bytes:
    return json.dumps([[], {"jobs": pairs}, {"callbacks": None}]).encode()


def test_a_value_of_an_unknown_type_spoils_its_own_job_only() -> None:
    damaged = body(["a", {"seed": 1}], ["b", {"labels": ORDER}], ["c", {"at": {"__type__": "date", "__value__": 5}}])
    assert read_piecemeal(damaged) == ([["a", {"seed": 1}]], ["b", "c"])


def test_what_celery_can_read_is_handed_on_as_celery_reads_it() -> None:
    moment = {"__type__": "datetime", "__value__": "2026-01-02T00:00:00+00:00"}
    sound, damaged = read_piecemeal(body(["a", {"at": moment}], ["b", ORDER]))
    assert (sound, damaged) == ([["a", {"at": datetime(2026, 1, 2, tzinfo=UTC)}]], ["b"])


@pytest.mark.parametrize("kept", [0, 1, 10])
def test_a_body_that_was_cut_is_read_up_to_there(kept: int) -> None:
    whole = body(["a", {"seed": 1}], ["b", {"seed": 2}])
    end = whole.index(b'["b"') + 1
    assert read_piecemeal(whole[: end + kept])[0] == [["a", {"seed": 1}]]


@pytest.mark.parametrize(
    "odd", [b"", None, b"\x80\x04pickle", b"[]", b'{"jobs": 5}', b'"jobs": [', b'"jobs": [' + b"[" * 100_000, "\ud800"]
)
def test_what_holds_no_jobs_gives_none(odd: Any) -> None:
    assert read_piecemeal(odd) == ([], [])


def test_a_job_without_an_id_has_no_caller() -> None:
    assert read_piecemeal(body([5, ORDER], [], ORDER, ["\ud800", ORDER])) == ([[]], [])
