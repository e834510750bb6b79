"""Names of copies: predictable, each of one job alone, and never outside the store's prefix."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wanimate.contract import Outcome, Result
from wanimate.errors import SettingsError
from wanimate_worker.keeping.naming import name_of
from wanimate_worker.ledger import Keep
from wanimate_worker.service_settings import KeepSettings

TEMPLATE = KeepSettings().keep_name


def keep(job_id: str, task_id: str = "task") -> Keep:
    outcome = Outcome.success(Result(urls=("https://vendor/v.mp4",), task_id=task_id))
    return Keep(job_id, outcome, {"type": "animate"}, 1_764_547_199_999, 0, 0)


def test_a_name_is_the_day_and_the_job() -> None:
    job_id = "0e3c5a52-6f3c-5c1e-9a55-2d1f0c9d8e7b"
    assert name_of(TEMPLATE, keep(job_id)) == f"2025-11-30/{job_id}.mp4"
    assert name_of(TEMPLATE, keep(job_id), 2) == f"2025-11-30/{job_id}.2.mp4"
    template = "{type}/{task_id}/v1.0_{job_id}"
    assert name_of(template, keep("a", "t/1")) == "animate/t=2F1/v1.0_a"


@given(st.text(min_size=1), st.integers(1, 9))
def test_no_id_leaves_its_folder(job_id: str, number: int) -> None:
    name = name_of(TEMPLATE, keep(job_id, job_id), number)
    assert re.fullmatch(r"2025-11-30/[A-Za-z0-9_=-]*(\.\d)?\.mp4", name)
    assert len(name) < 200


@given(st.tuples(st.text(min_size=1), st.integers(1, 9)), st.tuples(st.text(min_size=1), st.integers(1, 9)))
def test_no_two_videos_share_a_name(one: tuple[str, int], other: tuple[str, int]) -> None:
    names = {name_of(TEMPLATE, keep(job_id), number) for job_id, number in (one, other)}
    assert len(names) == len({one, other})


def test_long_ids_that_end_differently_have_different_names() -> None:
    assert name_of(TEMPLATE, keep("ü" * 300)) != name_of(TEMPLATE, keep("ü" * 299 + "u"))
    assert name_of(TEMPLATE, keep("a" * 119 + "b")) != name_of(TEMPLATE, keep("a" * 120))


@pytest.mark.parametrize(
    "template",
    [
        *("{date}.mp4", "", "{job_id", "{job_id!r}", "{job_id:.3}", "{job_id[0]}", "{job_id.x}", "{0}{job_id}"),
        *("/{job_id}", "../{job_id}", "a/../{job_id}", "./{job_id}", "a//{job_id}", "{job_id}/", "{other}/{job_id}"),
        *("{job_id}?x", "{job_id}#", "a b/{job_id}", "ü{job_id}", "{{{job_id}}}", "a\\{job_id}", "{job_id}%2F"),
    ],
)
def test_a_template_that_may_mix_up_jobs_or_leave_the_prefix_is_refused(template: str) -> None:
    with pytest.raises(SettingsError, match="expected"):
        KeepSettings(keep_name=template)
