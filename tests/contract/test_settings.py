from __future__ import annotations

from typing import Any

import pytest
from wanimate import AsyncClient, Client, Settings
from wanimate.errors import SettingsError
from wanimate.transport import celery_settings, celery_url


@pytest.mark.parametrize(
    ("values", "variable"),
    [
        ({"redis_url": "http://localhost"}, "WANIMATE_REDIS_URL"),
        ({"redis_url": "localhost:6379"}, "WANIMATE_REDIS_URL"),
        ({"account": "a{b}"}, "WANIMATE_ACCOUNT"),
        ({"result_ttl_seconds": 5}, "WANIMATE_RESULT_TTL_SECONDS"),
        ({"redis_timeout_seconds": 0}, "WANIMATE_REDIS_TIMEOUT_SECONDS"),
    ],
)
def test_a_wrong_setting_is_named_by_its_variable(values: dict[str, Any], variable: str) -> None:
    with pytest.raises(SettingsError, match=variable):
        Settings(**values)


@pytest.mark.parametrize("url", ["redis://localhost:port/0", "redis://localhost/zero", "redis://:hunter2@host:x/0"])
def test_an_address_without_sense_is_refused_when_the_client_is_made(url: str) -> None:
    with pytest.raises(SettingsError, match="WANIMATE_REDIS_URL") as caught:
        Client(Settings(redis_url=url))

    assert "hunter2" not in str(caught.value)


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANIMATE_REDIS_URL", "redis://elsewhere:7000/3")
    monkeypatch.setenv("WANIMATE_ACCOUNT", "second")

    assert repr(Client()) == "<Client of elsewhere:7000/3, account second>"


def test_the_password_is_in_no_representation() -> None:
    settings = Settings(redis_url="redis://user:hunter2@localhost:6379/0")

    with Client(settings) as client:
        shown = [settings, settings.model_dump(), client, client.job("id"), AsyncClient(settings)]

    assert "hunter2" not in " ".join(f"{thing!r} {thing}" for thing in shown)


def test_tls_checks_the_certificate_unless_told_otherwise() -> None:
    assert "ssl_cert_reqs=required" in celery_url(Settings(redis_url="rediss://host:6380/0"))
    assert "ssl_cert_reqs=none" in celery_url(Settings(redis_url="rediss://host:6380/0?ssl_cert_reqs=none"))


def test_results_are_kept_as_long_as_the_setting_says() -> None:
    assert celery_settings(Settings(result_ttl_seconds=3600))["result_expires"] == 3600
