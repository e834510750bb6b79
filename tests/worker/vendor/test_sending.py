"""Whether a request has left: decided by what was written, and by nothing else."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr
from wanimate.errors import SettingsError
from wanimate_worker.vendor import Accepted, NotSent, Obstacle, Pending, Unknown, Unreadable, VendorClient
from wanimate_worker.vendor import client as client_module
from wanimate_worker.vendor.request import Sending

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from wanimate.contract import AnimateJob

ACCEPTED = '{"code": 200, "message": "success", "data": {"taskId": "task_1"}}'
PROCESSING = '{"code": 200, "message": "success", "data": {"state": "processing"}}'


def late_at(look: int) -> Callable[[], str]:
    """Return what says that it is too late at one look, counted from 1, and all later ones."""
    looks = itertools.count(1)
    return lambda: "the worker stood still" if next(looks) >= look else ""


@pytest.mark.parametrize("look", [1, 2, 3], ids=["before all", "before the first byte", "before the body"])
def test_a_submission_that_is_too_late_at_any_look_is_not_sent(
    server: Any, client: VendorClient, job: AnimateJob, look: int
) -> None:
    server.answers(ACCEPTED)
    answer = client.submit(job, may_send=late_at(look))
    assert answer == NotSent("the worker stood still")
    assert isinstance(answer, NotSent)
    assert answer.obstacle is Obstacle.STALE
    assert not any(request.body for request in server.requests)
    assert look == 3 or not server.requests
    assert client.submit(job, may_send=lambda: "") == Accepted("task_1"), "the connection is not spoilt"
    assert len([request for request in server.requests if request.body]) == 1


def test_the_last_look_does_not_depend_on_the_names_of_events(
    server: Any, client: VendorClient, job: AnimateJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answers(ACCEPTED)
    monkeypatch.setattr(Sending, "trace", lambda *_: None)
    assert isinstance(client.submit(job, may_send=late_at(2)), NotSent)
    assert not any(request.body for request in server.requests)


@pytest.mark.parametrize("look", [1, 2])
def test_a_status_request_that_is_too_late_is_not_sent(server: Any, client: VendorClient, look: int) -> None:
    server.answers(PROCESSING)
    assert isinstance(client.status("t", may_send=late_at(look)), NotSent)
    assert server.requests == []
    assert client.status("t", may_send=lambda: "") == Pending("processing")


def test_the_body_is_sent_whole_with_its_length(server: Any, client: VendorClient, job: AnimateJob) -> None:
    server.answers(ACCEPTED)
    client.submit(job)
    [request] = server.requests
    assert int(request.headers["content-length"]) == len(request.body) > 0
    assert "transfer-encoding" not in request.headers


def test_an_error_before_the_request_is_surely_not_sent(
    server: Any, client: VendorClient, job: AnimateJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no client")

    monkeypatch.setattr(client._connections, "get", fail)
    assert client.submit(job) == NotSent("RuntimeError: no client")
    monkeypatch.undo()
    monkeypatch.setattr(client_module, "request_body", fail)
    assert isinstance(client.submit(job), NotSent)
    assert server.requests == []


def test_an_error_of_ours_after_the_request_leaves_it_unknown(
    server: Any, client: VendorClient, job: AnimateJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("cannot read")

    server.answers(ACCEPTED)
    monkeypatch.setattr(client_module, "_read", fail)
    assert client.submit(job) == Unknown("RuntimeError: cannot read")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ALL_PROXY", "socks5://user:hunter2@127.0.0.1:1080"),
        ("HTTPS_PROXY", "nonsense://user:hunter2@127.0.0.1"),
        ("HTTPS_PROXY", "http://user:hunter2@[::1"),
        ("https_proxy", "http://user:hunter2@host:port"),
        ("SSL_CERT_FILE", "/nowhere/ca.pem"),
        ("SSL_CERT_FILE", "garbage"),
        ("SSL_CERT_FILE", "a folder"),
        ("SSL_CERT_FILE", "/dev/null"),
        ("SSL_CERT_DIR", "/nowhere"),
        ("SSLKEYLOGFILE", "/nowhere/keys.log"),
        ("ALL_PROXY", "http://"),
        ("HTTPS_PROXY", " "),
        ("HTTP_PROXY", "http://user:hunter2@host:99999"),
    ],
)
def test_an_environment_that_no_client_can_be_made_with_is_named_at_the_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, job: AnimateJob, variable: str, value: str
) -> None:
    for name in ("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    if value == "garbage":
        (tmp_path / "ca.pem").write_text("no certificate")
        value = str(tmp_path / "ca.pem")
    monkeypatch.setenv(variable, str(tmp_path) if value == "a folder" else value)
    trusting = VendorClient("https://api.example", SecretStr("key"), trust_env=True)
    with pytest.raises(SettingsError) as caught:
        trusting.prepare()
    told = str(caught.value)
    assert told.startswith(f"{variable}: ")
    assert "\n" not in told
    assert "hunter2" not in told
    assert isinstance(trusting.submit(job), NotSent)
    assert isinstance(trusting.status("t"), NotSent)
    monkeypatch.delenv("SSLKEYLOGFILE", raising=False)
    VendorClient("https://api.example", SecretStr("key")).prepare()


def test_a_client_that_cannot_be_made_blames_no_proxy_where_none_is_used(
    client: VendorClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: object) -> None:
        raise FileNotFoundError("half of a library")

    monkeypatch.setattr(client_module.httpx, "HTTPTransport", fail)
    with pytest.raises(SettingsError, match=r"FileNotFoundError: half of a library") as caught:
        client.prepare()
    assert "TRUST_ENV" not in str(caught.value)


@pytest.mark.parametrize("trouble", ["refuses", "forbids", "drops", "resets", "keeps_silent", "babbles"])
def test_a_proxy_that_opens_no_tunnel_has_surely_sent_nothing(
    server: Any, connect: Callable[..., VendorClient], job: AnimateJob, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://user:hunter2@{server.address}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    match trouble:
        case "refuses":
            server.answers("<html>login", 407)
        case "forbids":
            server.answers("<html>no", 403)
        case "babbles":
            server.sends(b"SSH-2.0-OpenSSH_9.6\r\n", then_close=True)
        case _:
            getattr(server, trouble)()
    answer = connect("https://api.example", seconds=0.3, trust_env=True).submit(job)
    assert isinstance(answer, NotSent)
    assert "hunter2" not in repr(answer)
    assert {request.method for request in server.requests} == {"CONNECT"}


def test_a_task_id_that_cannot_be_sent_is_no_traceback(client: VendorClient) -> None:
    assert isinstance(client.status("\udcff"), Unreadable)
