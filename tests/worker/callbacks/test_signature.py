"""A callback URL is good for one attempt of one job, and nobody can make up another."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from wanimate.errors import SettingsError
from wanimate_worker.callbacks.body import named_task
from wanimate_worker.engine.signature import CALLBACK_PATH, SignedPath, Signer
from wanimate_worker.service_settings import CallbackSettings
from wanimate_worker.settings import WorkerSettings

BASE = "https://callbacks.example.com"
SIGNER = Signer(SecretStr("a-secret-of-thirty-two-characters"))
OTHER = Signer(SecretStr("another-secret-of-this-very-length"))

words = st.text(st.characters(codec="utf-8", exclude_characters="/"), min_size=1, max_size=40)
accounts = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)
#: A job of other Celery code has whatever task id its caller chose.
job_ids = st.one_of(st.uuids().map(str), st.text(st.characters(codec="utf-8"), min_size=1, max_size=40))
nonces = st.from_regex(r"[0-9a-f]{16}", fullmatch=True)
triples = st.tuples(accounts, job_ids, nonces)


def path_of(url: str) -> SignedPath:
    """Read a URL as the receiver does."""
    path = unquote(urlsplit(url).path)
    assert path.startswith(CALLBACK_PATH)
    read = SignedPath.read(path.removeprefix(CALLBACK_PATH))
    assert read is not None
    return read


@given(triples)
def test_a_url_is_read_back_as_it_was_signed(names: tuple[str, str, str]) -> None:
    url = SIGNER.url(BASE, *names)
    path = path_of(url)
    assert url.isascii()
    assert (path.account, path.job_id, path.nonce) == names
    assert SIGNER.has_signed(path)
    assert not OTHER.has_signed(path)


@given(triples, triples)
def test_a_signature_is_good_for_no_other_names(names: tuple[str, str, str], others: tuple[str, str, str]) -> None:
    signature = path_of(SIGNER.url(BASE, *names)).signature
    assert SIGNER.has_signed(SignedPath(*others, signature)) is (names == others)


@given(st.tuples(words, words, words), st.integers(0, 2), st.integers(0, 2), st.integers(1, 40))
def test_moving_text_from_one_name_to_another_breaks_the_signature(
    names: tuple[str, str, str], giver: int, taker: int, count: int
) -> None:
    moved = list(names)
    text = moved[giver][:count]
    moved[giver] = moved[giver][count:]
    moved[taker] += text
    signature = path_of(SIGNER.url(BASE, *names)).signature
    path = SignedPath(moved[0], moved[1], moved[2], signature)
    assert SIGNER.has_signed(path) is (tuple(moved) == names)


@given(triples, st.integers(0, 63), st.sampled_from("0123456789abcdefABCDEFxé "))
def test_every_character_of_a_signature_counts(names: tuple[str, str, str], place: int, character: str) -> None:
    signature = path_of(SIGNER.url(BASE, *names)).signature
    altered = signature[:place] + character + signature[place + 1 :]
    assert SIGNER.has_signed(SignedPath(*names, altered)) is (altered == signature)


@given(triples, st.integers(0, 63), words)
def test_a_truncated_or_extended_signature_is_refused(names: tuple[str, str, str], length: int, more: str) -> None:
    signature = path_of(SIGNER.url(BASE, *names)).signature
    assert not SIGNER.has_signed(SignedPath(*names, signature[:length]))
    assert not SIGNER.has_signed(SignedPath(*names, signature + more))


@pytest.mark.parametrize("path", ["", "/", "a", "a/b", "a/b/c", "a/b/c/", "/b/c/d", "a//c/d", "a/b//d"])
def test_a_path_without_all_its_parts_is_no_callback(path: str) -> None:
    assert SignedPath.read(path) is None


# -- the task id that a body names ----------------------------------------------------------------------------------


@given(st.binary(max_size=200))
def test_no_body_makes_reading_it_fail(body: bytes) -> None:
    assert isinstance(named_task(body), str)


@pytest.mark.parametrize(
    "body",
    [
        *("", "null", "[]", '"task"', "{", '{"data": null}', '{"data": ["taskId"]}', '{"taskId": "task_1"}'),
        *('{"data": {"taskId": 5}}', '{"data": {"taskId": ""}}', '{"data": {"taskId": "a b"}}'),
        *('{"data": {"taskId": "a\\n"}}', '{"data": {"taskId": "t&x=1"}}', '{"data": {"taskId": "ä"}}'),
        '{"data": {"taskId": "' + "t" * 129 + '"}}',
        "[" * 5000,
    ],
)
def test_what_could_not_be_a_task_id_is_none(body: str) -> None:
    assert named_task(body.encode()) == ""


def test_the_task_id_is_read_where_the_vendor_puts_it() -> None:
    assert named_task(b'{"code": 200, "data": {"taskId": "task_12345678", "state": "success"}}') == "task_12345678"


# -- the settings ---------------------------------------------------------------------------------------------------

GOOD = "0123456789abcdef"


@pytest.mark.parametrize(
    ("url", "secret", "variable"),
    [
        (BASE, None, "WANIMATE_CALLBACK_SECRET: required with WANIMATE_CALLBACK_BASE_URL"),
        (BASE, "  ", "WANIMATE_CALLBACK_SECRET: required with"),
        (BASE, "fifteen-letters", "WANIMATE_CALLBACK_SECRET: expected at least 16 characters"),
        (None, "fifteen-letters", "WANIMATE_CALLBACK_SECRET: expected at least 16 characters"),
        *(
            (url, GOOD, "WANIMATE_CALLBACK_BASE_URL: expected an https:// URL")
            for url in ("ftp://host", "host", "https://", "https://u:p@host", "https://host?x=1", "https://host/#x")
        ),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_it(url: str | None, secret: str | None, variable: str) -> None:
    with pytest.raises(SettingsError, match=variable) as caught:
        CallbackSettings.model_validate({"callback_base_url": url, "callback_secret": secret})
    assert "\n" not in str(caught.value)
    assert "letters" not in str(caught.value), "a secret is not shown, however short"


@pytest.mark.parametrize("url", [BASE, f"{BASE}/", f"{BASE}:8443/wan/", "http://127.0.0.1:80", "http://[::1]:80"])
def test_a_base_url_may_have_a_port_and_a_path(url: str) -> None:
    settings = CallbackSettings.model_validate({"callback_base_url": url, "callback_secret": GOOD})
    assert settings.callback_base_url == url.rstrip("/")
    assert GOOD not in repr(settings)


CLEAR_URLS = [
    *("http://callbacks.example.com", "HTTP://callbacks.example.com/wan", "http://callbacks:8000"),
    *("http://10.0.0.7:8000", "http://127.0.0.1.example.com", "http://[2001:db8::1]:8000", "http://localhost.example"),
]


@pytest.mark.parametrize("url", CLEAR_URLS)
def test_a_callback_url_in_clear_to_another_machine_stops_the_start(url: str) -> None:
    with pytest.raises(SettingsError, match="WANIMATE_CALLBACK_BASE_URL: the vendor calls public https:") as caught:
        WorkerSettings.model_validate({"callback_base_url": url, "callback_secret": GOOD})
    assert "\n" not in str(caught.value)
    assert "WANIMATE_ALLOW_HTTP" in str(caught.value)
    WorkerSettings.model_validate({"callback_base_url": url, "callback_secret": GOOD, "allow_http": True})


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000", "http://LOCALHOST:1", "http://[::1]:80", "http://127.9.9.9"])
def test_a_callback_url_of_this_machine_may_be_http(url: str) -> None:
    WorkerSettings.model_validate({"callback_base_url": url, "callback_secret": GOOD})


def test_the_scheme_of_a_callback_url_may_be_in_upper_case() -> None:
    settings = WorkerSettings.model_validate({"callback_base_url": "HTTPS://h.example/", "callback_secret": GOOD})
    assert settings.callback_base_url == "https://h.example"


def test_empty_variables_switch_callbacks_off() -> None:
    settings = CallbackSettings.model_validate({"callback_base_url": " ", "callback_secret": ""})
    assert (settings.callback_base_url, settings.callback_secret) == (None, None)
