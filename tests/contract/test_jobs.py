from __future__ import annotations

import json
import string
from typing import Any

import kombu.utils.json
import pytest
from celery import Celery
from hypothesis import given
from hypothesis import strategies as st
from wanimate.contract import AnimateJob, Job, ReplaceJob, parse_job
from wanimate.errors import InvalidRequest, SettingsError

IMAGE = "https://example.com/character.png"
VIDEO = "https://example.com/motion.mp4"


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"type": None}, "type"),
        ({"type": "dance"}, "type"),
        ({"mode": "fast"}, "mode"),
        ({"image_url": None}, "image_url"),
        ({"image_url": ""}, "image_url"),
        ({"image_url": [IMAGE, IMAGE]}, "image_url"),
        ({"image_url": []}, "image_url"),
        ({"image_url": "ftp://example.com/a.png"}, "image_url"),
        ({"image_url": "character.png"}, "image_url"),
        ({"image_url": "https://exa mple.com/a.png"}, "image_url"),
        ({"image_url": "https://[::1"}, "image_url"),
        ({"image_url": "https://example.com/" + "a" * 5000}, "image_url"),
        ({"video_url": None}, "video_url"),
        ({"video_url": [VIDEO, VIDEO]}, "video_url"),
        ({"video_url": "file:///etc/passwd"}, "video_url"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": "   "}, "prompt"),
        ({"prompt": 7}, "prompt"),
        ({"resolution": "1080p"}, "resolution"),
        ({"resolution": ""}, "resolution"),
        ({"seed": -2}, "seed"),
        ({"seed": 2**31}, "seed"),
        ({"seed": 2**63}, "seed"),
        ({"seed": 10**400}, "seed"),
        ({"video_url": "https://example.com/motion.avi"}, "video_url"),
        ({"image_url": "https://example.com/character.gif?signature=.png"}, "image_url"),
        ({"seed": "42"}, "seed"),
        ({"seed": 1.5}, "seed"),
        ({"seed": True}, "seed"),
        ({"provider": "cheapest"}, "provider"),
        ({"callback_url": "https://example.com"}, "callback_url"),
        ({"request_type": "callback"}, "request_type"),
        ({"self": 1}, "self"),
        ({"priority": 10}, "priority"),
        ({"priority": -1}, "priority"),
        ({"labels": {"a": 1}}, "labels.a"),
        ({"labels": {str(n): "x" for n in range(9)}}, "labels"),
        ({"labels": {"a": "x" * 65}}, "labels"),
        ({"idempotency_key": ""}, "idempotency_key"),
        ({"on_unknown": "hope"}, "on_unknown"),
        ({"retry_transient": -1}, "retry_transient"),
        ({"retry_transient": 11}, "retry_transient"),
        ({"retry_transient": "2"}, "retry_transient"),
        ({"retry_transient": True}, "retry_transient"),
        ({"deadline_seconds": 0}, "deadline_seconds"),
        ({"deadline_seconds": -1.5}, "deadline_seconds"),
        ({"deadline_seconds": "60"}, "deadline_seconds"),
        ({"deadline_seconds": True}, "deadline_seconds"),
        ({"deadline_seconds": float("inf")}, "deadline_seconds"),
        ({"deadline_seconds": float("nan")}, "deadline_seconds"),
        ({"video_seconds": 0}, "video_seconds"),
        ({"video_seconds": "12"}, "video_seconds"),
        ({"video_seconds": float("nan")}, "video_seconds"),
        ({"video_seconds": 12_500_000.0}, "video_seconds"),
    ],
)
def test_a_request_that_the_vendor_would_refuse_is_refused_here_and_names_its_field(
    wrong: dict[str, Any], field: str
) -> None:
    right = {"type": "animate", "image_url": IMAGE, "video_url": VIDEO}

    with pytest.raises(InvalidRequest) as caught:
        parse_job(right | wrong)

    assert caught.value.field == field
    assert field.partition(".")[0] in str(caught.value)


@pytest.mark.parametrize("field", ["image_url", "video_url"])
def test_a_missing_url_is_refused_and_named(field: str) -> None:
    fields = {"image_url": IMAGE, "video_url": VIDEO}
    del fields[field]

    with pytest.raises(InvalidRequest) as caught:
        AnimateJob(**fields)  # type: ignore[arg-type]

    assert caught.value.field == field


@pytest.mark.parametrize("type_", ["order", "uuid", "datetime", "bytes", ""])
def test_labels_that_json_reads_as_a_value_of_a_type_are_refused(type_: str) -> None:
    with pytest.raises(InvalidRequest, match="__type__") as caught:
        AnimateJob(image_url=IMAGE, video_url=VIDEO, labels={"__value__": "7", "__type__": type_})

    assert caught.value.field == "labels"
    job = AnimateJob(image_url=IMAGE, video_url=VIDEO, labels={"__value__": "7", "__type__": type_, "a": "b"})
    assert parse_job(kombu.utils.json.loads(json.dumps(job.to_kwargs()))) == job


def test_a_message_names_ten_wrong_fields_and_counts_the_rest() -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_job({"type": "animate", "image_url": IMAGE, "video_url": VIDEO, **{f"x{n}": 1 for n in range(1000)}})

    assert "x9: " in str(caught.value)
    assert str(caught.value).endswith("; and 990 more")


def test_a_refusal_does_not_repeat_the_value_that_may_be_a_signed_url() -> None:
    with pytest.raises(InvalidRequest) as caught:
        AnimateJob(image_url="ftp://example.com/?signature=hunter2", video_url=VIDEO)

    assert "hunter2" not in repr(caught.value) + str(caught.value)


def texts(least: int, most: int) -> st.SearchStrategy[str]:
    return st.text(st.characters(exclude_categories=["Cs"]), min_size=least, max_size=most)


urls = st.text(string.ascii_letters + string.digits + "-_/?=&%é", max_size=60).map("https://example.com/".__add__)
jobs: st.SearchStrategy[Job] = st.one_of(
    [
        st.builds(
            kind,
            image_url=urls,
            video_url=urls,
            prompt=st.none() | texts(1, 200).filter(str.strip),
            resolution=st.sampled_from(["480p", "720p"]),
            seed=st.integers(-1, 2**31 - 1),
            provider=st.sampled_from(["auto", "value", "official"]),
            priority=st.integers(0, 9),
            labels=st.dictionaries(texts(1, 64), texts(0, 64), max_size=8),
            idempotency_key=st.none() | texts(1, 255),
            on_unknown=st.sampled_from([None, "fail", "resubmit"]),
            retry_transient=st.none() | st.integers(0, 10),
            deadline_seconds=st.none() | st.integers(1, 10_000) | st.floats(0.001, 10_000),
            video_seconds=st.none() | st.integers(1, 300) | st.floats(0.1, 300),
        )
        for kind in (AnimateJob, ReplaceJob)
    ]
)


@given(job=jobs)
def test_every_job_survives_the_way_through_a_json_message(job: Job) -> None:
    assert parse_job(json.loads(json.dumps(job.to_kwargs()))) == job


@given(job=jobs)
def test_every_signature_survives_the_way_through_json_and_still_names_the_same_job(job: Job) -> None:
    signature = job.signature()

    read = Celery(set_as_current=False).signature(json.loads(json.dumps(signature)))

    assert parse_job(read.kwargs) == job
    assert read.immutable
    assert read.options["queue"] == "wanimate"
    assert read.options["priority"] == job.priority
    # Each time it is sent it is a task of its own; the worker finds the job by the key.
    assert "task_id" not in read.options


def test_an_app_that_runs_tasks_at_once_gets_no_signature_that_would_be_billed() -> None:
    app = Celery()
    app.conf.task_always_eager = True
    app.set_current()
    try:
        with pytest.raises(SettingsError, match="task_always_eager"):
            AnimateJob(image_url=IMAGE, video_url=VIDEO).signature()
    finally:
        Celery().set_current()


@given(job=jobs)
def test_what_logs_show_of_a_job_holds_neither_url_nor_prompt(job: Job) -> None:
    secret = job.model_copy(update={"image_url": IMAGE + "?signature=hunter2", "prompt": "hunter3", "labels": {}})

    assert "hunter" not in str(secret.message_options())


def test_the_same_key_is_the_same_job_on_one_account_and_another_on_another() -> None:
    job = AnimateJob(image_url=IMAGE, video_url=VIDEO, idempotency_key="order-7")

    assert job.job_id("a") == job.job_id("a") != job.job_id("b")


def test_without_a_key_every_job_is_a_new_one() -> None:
    job = AnimateJob(image_url=IMAGE, video_url=VIDEO)

    assert job.job_id("a") != job.job_id("a")


def test_the_fingerprint_follows_the_request_and_not_the_options_of_the_queue() -> None:
    job = AnimateJob(image_url=IMAGE, video_url=VIDEO)
    same = AnimateJob(image_url=IMAGE, video_url=VIDEO, priority=0, labels={"a": "b"}, idempotency_key="k")
    replaced = ReplaceJob(image_url=IMAGE, video_url=VIDEO)

    assert job.fingerprint() == same.fingerprint() != replaced.fingerprint()


@pytest.mark.parametrize(("seconds", "milliseconds"), [(None, None), (600, 600_000), (0.5, 500), (0.00001, 1)])
def test_a_deadline_is_whole_milliseconds_and_never_none_at_all(
    seconds: float | None, milliseconds: int | None
) -> None:
    assert AnimateJob(image_url=IMAGE, video_url=VIDEO, deadline_seconds=seconds).deadline_ms == milliseconds


def test_a_deadline_is_no_part_of_the_request_that_an_idempotency_key_stands_for() -> None:
    job = AnimateJob(image_url=IMAGE, video_url=VIDEO)
    assert job.fingerprint() == AnimateJob(image_url=IMAGE, video_url=VIDEO, deadline_seconds=60).fingerprint()


def test_retries_are_no_part_of_the_request_that_an_idempotency_key_stands_for() -> None:
    job = AnimateJob(image_url=IMAGE, video_url=VIDEO)
    assert job.fingerprint() == AnimateJob(image_url=IMAGE, video_url=VIDEO, retry_transient=2).fingerprint()
    assert AnimateJob(image_url=IMAGE, video_url=VIDEO, retry_transient=0).to_kwargs()["retry_transient"] == 0


@pytest.mark.parametrize(
    "name",
    [
        *("callback_url", "callback_base_url", "callback_secret", "request_type", "mode", "input"),
        *("api_base_url", "base_url", "api_key", "headers", "proxy", "trust_env", "image_urls", "redis_url"),
    ],
)
def test_a_job_cannot_say_where_anything_is_sent(name: str) -> None:
    request = {"type": "animate", "image_url": IMAGE, "video_url": VIDEO, name: "http://169.254.169.254/"}
    with pytest.raises(InvalidRequest) as refused:
        parse_job(request)
    assert refused.value.field == name
