"""Which URLs of Redis are taken, and that all libraries read them in the same way."""

from __future__ import annotations

from typing import Any

import pytest
from celery import Celery
from kombu.transport.redis import Channel
from redis.connection import parse_url
from wanimate import Client, Settings
from wanimate.errors import SettingsError
from wanimate.redis.transport import celery_settings, connection_pool


@pytest.mark.parametrize(
    ("url", "canonical"),
    [
        ("redis://host", "redis://host:6379/0"),
        ("redis://", "redis://localhost:6379/0"),
        ("redis:///3", "redis://localhost:6379/3"),
        ("redis://:7000/3/", "redis://localhost:7000/3"),
        (" REDIS://Host:7000/3\n", "redis://host:7000/3"),
        ("redis://host?db=3", "redis://host:6379/3"),
        ("redis://host/1?db=3", "redis://host:6379/3"),
        ("redis://host/1?db=", "redis://host:6379/1"),
        ("redis://user:p%40ss@host", "redis://user:p%40ss@host:6379/0"),
        ("redis://host?username=user&password=p%40ss%2F", "redis://user:p%40ss%2F@host:6379/0"),
        ("redis://host?password=hunter2", "redis://:hunter2@host:6379/0"),
        ("redis://[::1]:7000/3", "redis://[::1]:7000/3"),
        ("Rediss://host", "rediss://host:6379/0?ssl_cert_reqs=required"),
        ("rediss://host?ssl_cert_reqs=CERT_NONE&db=2", "rediss://host:6379/2?ssl_cert_reqs=none"),
        ("unix:///run/redis.sock", "unix:///run/redis.sock?db=0"),
        ("UNIX://:hunter2@/run/redis.sock?db=3", "unix://:hunter2@/run/redis.sock?db=3"),
        ("unix:///run/redis.sock?password=hunter2", "unix://:hunter2@/run/redis.sock?db=0"),
        ("Sentinel://a,b:7000/3?service=m", "sentinel://a:26379,b:7000/3?service=m"),
        (
            "sentinel+TLS://u:p%40@[::1]/?ssl_cert_reqs=CERT_NONE&sentinel_password=q%26&service=m",
            "sentinel+tls://u:p%40@[::1]:26379/0?service=m&sentinel_password=q%26&ssl_cert_reqs=none",
        ),
    ],
)
def test_a_url_means_the_same_to_every_library(url: str, canonical: str) -> None:
    settings = Settings(redis_url=url)

    assert settings.redis_url.get_secret_value() == canonical
    assert Settings(redis_url=canonical) == settings
    if not canonical.startswith("sentinel"):
        names = ("path", "host", "port", "db", "username", "password")
        ours = {name: value for name, value in parse_url(canonical).items() if name in names}
        assert connection_pool(settings).connection_kwargs.items() >= ours.items()
        broker, results = celery_of(settings)
        assert broker == results == {name: ours.get(name) for name in names}


def celery_of(settings: Settings) -> tuple[dict[str, Any], ...]:
    """Where Celery's broker and its result backend connect to."""
    app = Celery(set_as_current=False)
    app.conf.update(celery_settings(settings))
    # What kombu gives redis-py is made by a channel, which connects as soon as it exists.
    channel: Any = object.__new__(Channel)
    channel.connection = app.connection_for_write().transport
    told = [{**channel._connparams()}, {**app.backend.connparams}]
    app.close()
    return tuple(
        {name: each.get(name) for name in ("path", "host", "port", "db", "username", "password")} for each in told
    )


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("", "expected"),
        ("host:6379", "expected"),
        ("redis:/host", "expected"),
        ("redis:host", "expected"),
        ("'redis://host'", "expected"),
        ("valkey://host", "expected"),
        ("redis://host?ssl=true", "rediss://"),
        ("rediss://host?ssl=true", "rediss://"),
        ("redis://host?ssl_cert_reqs=none", "unknown option ssl_cert_reqs"),
        ("rediss://host?ssl_cert_reqs=perhaps", "ssl_cert_reqs: expected"),
        ("redis://host?socket_timeout=5", "unknown option socket_timeout"),
        ("redis://host?max_connections=5&protocol=3", "unknown option max_connections, protocol"),
        ("redis://host?decode_responses=True", "unknown option decode_responses"),
        ("redis://host?virtual_host=3", "unknown option virtual_host"),
        ("redis://host?db=1&db=2", "duplicate option"),
        ("redis://host?db=three", "expected a number as the database"),
        ("redis://host/three", "expected a number as the database"),
        ("redis://host/-1", "expected a number as the database"),
        ("redis://host/1/2", "expected a number as the database"),
        ("redis://host/٣", "expected a number as the database"),
        ("redis://host:port", "a host and a port"),
        ("redis://host:0", "a host and a port"),
        ("redis://host:65536", "a host and a port"),
        ("redis://host:6379:1", "a host and a port"),
        ("redis://a:6379,b:6379/0", "a host and a port"),
        ("redis://a;redis://b", "a host and a port"),
        ("redis://:hunter2/3@host:6379/0", "a host and a port"),
        ("redis://:123/hunter2@host:6379/0", "expected a number as the database"),
        ("redis://:123?hunter2@host:6379/0", "percent-encode a ?"),
        ("redis://:hunter2#3@host:6379/0", "percent-encode it, as %23"),
        ("redis://:hunter2 @host:6379/0", "a space"),
        ("redis://ho\u200bst/0", "an invisible character"),
        ("redis://[host/0", "not a URL"),
        ("unix://run/redis.sock", "three slashes"),
        ("unix://", "three slashes"),
        ("unix:///run/redis.sock?db=x", "expected a number as the database"),
        ("unix:///run/redis.sock?ssl_ca_certs=ca", "unknown option ssl_ca_certs"),
        ("sentinel://a:0/0?service=m", "hosts of sentinels"),
        ("sentinel://a/0?service=m&ssl=true", "rediss://"),
    ],
)
def test_a_url_that_some_library_would_stumble_over_is_refused_in_one_line(
    url: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SettingsError, match=r"^WANIMATE_REDIS_URL: ") as caught:
        Settings(redis_url=url)

    assert told in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)
    monkeypatch.setenv("WANIMATE_REDIS_URL", url)
    with pytest.raises(SettingsError, match=r"^WANIMATE_REDIS_URL: "):
        Client()
