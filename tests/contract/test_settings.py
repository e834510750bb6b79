from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from redis.sentinel import SentinelManagedSSLConnection
from wanimate import AsyncClient, Client, Settings
from wanimate.errors import SettingsError
from wanimate.redis.transport import celery_settings, connection_pool
from wanimate_worker.bridge.app import create_app
from wanimate_worker.settings import WorkerSettings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("values", "variable"),
    [
        ({"redis_url": "http://localhost"}, "WANIMATE_REDIS_URL"),
        ({"redis_url": "localhost:6379"}, "WANIMATE_REDIS_URL"),
        ({"redis_url": "sentinel://host:26379/0"}, "WANIMATE_REDIS_URL: the name of the master is missing"),
        ({"redis_url": "sentinel://host:x/0?service=m"}, "WANIMATE_REDIS_URL: expected the hosts of sentinels"),
        ({"redis_url": "sentinel://a,,b/0?service=m"}, "WANIMATE_REDIS_URL: expected the hosts of sentinels"),
        ({"redis_url": "sentinel://host/zero?service=m"}, "WANIMATE_REDIS_URL: expected a number"),
        ({"redis_url": "sentinel://host/0?service=m&quorum=2"}, "WANIMATE_REDIS_URL: unknown option quorum"),
        ({"redis_url": "sentinel://host/0?service=m&ssl_ca_certs=ca"}, "WANIMATE_REDIS_URL: ssl_ options"),
        ({"redis_url": "sentinel+tls://host/0?service=m&ssl_cert_reqs=no"}, "WANIMATE_REDIS_URL: ssl_cert_reqs"),
        ({"redis_url": "redis://[host/0"}, "WANIMATE_REDIS_URL: not a URL"),
        ({"account": "a{b}"}, "WANIMATE_ACCOUNT"),
        ({"result_ttl_seconds": 5}, "WANIMATE_RESULT_TTL_SECONDS"),
        ({"redis_timeout_seconds": 0}, "WANIMATE_REDIS_TIMEOUT_SECONDS"),
    ],
)
def test_a_wrong_setting_is_named_by_its_variable(values: dict[str, Any], variable: str) -> None:
    with pytest.raises(SettingsError, match=variable):
        Settings(**values)


NUMBERS = sorted(
    name
    for name, field in WorkerSettings.model_fields.items()
    if field.annotation in {int, float, int | None, float | None}
)


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e300", str(10**20)])
def test_a_number_without_a_bound_is_refused_by_every_setting(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    assert "unknown_after_seconds" in NUMBERS
    for name in NUMBERS:
        variable = f"WANIMATE_{name.upper()}"
        with monkeypatch.context() as patch:
            patch.setenv(variable, value)
            with pytest.raises(SettingsError, match=variable):
                WorkerSettings(_env_file=None)  # type: ignore[call-arg]


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
    assert "ssl_cert_reqs=required" in Settings(redis_url="rediss://host:6380/0").address.celery_url
    assert "ssl_cert_reqs=none" in Settings(redis_url="rediss://host:6380/0?ssl_cert_reqs=none").address.celery_url


SENTINELS = "sentinel+tls://user:p%40ss%3B@one:26380,[::1],two/3?service=main&sentinel_password=hunter2&ssl_ca_certs=ca"


def test_each_library_is_told_of_sentinels_in_its_own_words() -> None:
    settings = Settings(redis_url=SENTINELS)

    told = celery_settings(settings)

    login = "user:p%40ss%3B@"
    assert told["broker_url"] == told["result_backend"]
    # Each part has everything: kombu goes on with the next one after a failure, and forgets what the first one said.
    assert told["broker_url"].split(";") == [
        f"sentinel://{login}one:26380/3",
        f"sentinel://{login}[::1]:26379/3",
        f"sentinel://{login}two:26379/3",
    ]
    for options in (told["broker_transport_options"], told["result_backend_transport_options"]):
        assert options["master_name"] == "main"
        assert options["sentinel_kwargs"]["password"] == "hunter2"
        assert options["sentinel_kwargs"]["ssl_ca_certs"] == "ca"
    assert (
        told["broker_use_ssl"] == told["redis_backend_use_ssl"] == {"ssl_ca_certs": "ca", "ssl_cert_reqs": "required"}
    )
    pool = connection_pool(settings)
    assert pool.connection_class is SentinelManagedSSLConnection
    assert (pool.connection_kwargs["db"], pool.connection_kwargs["password"]) == (3, "p@ss;")


def test_the_passwords_of_sentinels_are_in_no_representation() -> None:
    settings = Settings(redis_url=SENTINELS)

    with Client(settings) as client:
        shown = " ".join(f"{thing!r} {thing}" for thing in (settings, client, settings.address))

    assert "one:26380,[::1]:26379,two:26379/3 (main)" in shown
    assert not any(secret in shown for secret in ("hunter2", "p%40ss", "p@ss"))
    assert settings.address.without_secrets("AUTH p@ss; p%40ss%3B hunter2") == "AUTH *** *** ***"


def test_results_are_kept_as_long_as_the_setting_says() -> None:
    assert celery_settings(Settings(result_ttl_seconds=3600))["result_expires"] == 3600


@pytest.fixture
def secrets_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one file for each secret, as Docker and Kubernetes mount them."""
    for name, value in {
        "wanimate_redis_url": "redis://:from-file@redis:6379/0",
        "wanimate_api_key": "key-from-file",
        "wanimate_callback_secret": "callback-secret-from-file",
    }.items():
        (tmp_path / name).write_text(f"{value}\n")
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("WANIMATE_SECRETS_DIR", str(tmp_path))
    return tmp_path


@pytest.mark.usefixtures("secrets_folder")
def test_secrets_come_from_files_and_a_line_end_is_no_part_of_them() -> None:
    settings = WorkerSettings.load()

    assert Settings.load().redis_url.get_secret_value() == "redis://:from-file@redis:6379/0"
    assert settings.api_key is not None
    assert settings.api_key.get_secret_value() == "key-from-file"
    assert settings.callback_secret is not None
    assert settings.callback_secret.get_secret_value() == "callback-secret-from-file"
    assert "from-file" not in f"{settings!r} {settings}"


@pytest.mark.usefixtures("secrets_folder")
def test_the_environment_comes_before_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANIMATE_API_KEY", "key-from-environment")

    settings = WorkerSettings.load()

    assert settings.api_key is not None
    assert settings.api_key.get_secret_value() == "key-from-environment"


def test_a_wrong_secret_in_a_file_is_named_by_its_variable_and_not_quoted(secrets_folder: Path) -> None:
    (secrets_folder / "wanimate_redis_url").write_text("http://:hunter2@redis")

    with pytest.raises(SettingsError, match="WANIMATE_REDIS_URL") as caught:
        Settings.load()

    assert "hunter2" not in str(caught.value)


def test_a_secret_that_cannot_be_read_is_told_and_not_quoted(secrets_folder: Path) -> None:
    (secrets_folder / "wanimate_redis_url").write_bytes(b"redis://:hunter2\xff@redis")

    with pytest.raises(SettingsError, match="WANIMATE_SECRETS_DIR") as caught:
        Settings.load()

    assert "hunter2" not in str(caught.value)


def test_a_secret_that_is_a_folder_is_not_taken_for_one_that_is_not_set(secrets_folder: Path) -> None:
    (secrets_folder / "wanimate_ops_auth").mkdir()

    with pytest.raises(SettingsError, match=r"wanimate_ops_auth is not a file"):
        Settings.load()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_secret_that_this_user_may_not_read_is_named(secrets_folder: Path) -> None:
    (secrets_folder / "wanimate_redis_url").chmod(0)

    with pytest.raises(SettingsError, match=r"Permission denied.*wanimate_redis_url"):
        Settings.load()


def test_a_folder_of_secrets_that_is_not_there_stops_the_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for wrong in (tmp_path / "missing", tmp_path / "file"):
        (tmp_path / "file").touch()
        monkeypatch.setenv("WANIMATE_SECRETS_DIR", str(wrong))
        with pytest.raises(SettingsError, match=f"WANIMATE_SECRETS_DIR: {wrong} is not a folder"):
            Settings.load()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Be in a folder whose `.env` names another address for the vendor's API."""
    for name in ("WANIMATE_API_KEY", "WANIMATE_API_BASE_URL", "WANIMATE_SECRETS_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("WANIMATE_API_BASE_URL=https://elsewhere.example/v1\n")
    return tmp_path


@pytest.mark.parametrize("place", ["environment", "folder of secrets"])
def test_a_folders_env_file_sends_no_key_of_somewhere_else_to_its_own_address(
    folder: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    if place == "environment":
        monkeypatch.setenv("WANIMATE_API_KEY", "sk-of-the-shell")
    else:
        (folder / "secrets").mkdir()
        (folder / "secrets" / "wanimate_api_key").write_text("sk-of-a-file")
        monkeypatch.setenv("WANIMATE_SECRETS_DIR", str(folder / "secrets"))
    with pytest.raises(SettingsError, match=r"WANIMATE_API_BASE_URL: the \.env file of this folder") as caught:
        WorkerSettings.load()
    assert "\n" not in str(caught.value)
    assert "sk-of" not in str(caught.value)


def test_an_env_file_may_name_the_address_together_with_the_key_or_where_there_is_none(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert WorkerSettings.load().api_base_url == "https://elsewhere.example/v1", "beat and Flower have no key"
    with (folder / ".env").open("a") as file:
        file.write("WANIMATE_API_KEY=sk-of-the-folder\n")
    assert WorkerSettings.load().api_base_url == "https://elsewhere.example/v1"
    monkeypatch.setenv("WANIMATE_API_KEY", "sk-of-the-shell")
    monkeypatch.setenv("WANIMATE_API_BASE_URL", "https://chosen.example")
    assert WorkerSettings.load().api_base_url == "https://chosen.example", "the environment has the say"


PASSWORD_URLS = [
    "redis://u:hunter2@127.0.0.1:6379/0",
    "redis://127.0.0.1:6379/0?password=hunter2",
    "rediss://u:hunter2@127.0.0.1:6379/0",
    "rediss://127.0.0.1:6379/0?username=u&password=hunter2",
    "unix:///run/redis.sock?password=hunter2&db=1",
    "unix://u:hunter2@/run/redis.sock",
    "sentinel://u:hunter2@127.0.0.1:1/0?service=m&sentinel_password=hunter3",
    "sentinel+tls://u:hunter2@127.0.0.1:1/0?service=m&sentinel_password=hunter3",
]


@pytest.mark.parametrize("url", PASSWORD_URLS)
def test_no_report_of_celery_shows_the_password_of_any_redis_url(url: str) -> None:
    settings = WorkerSettings(_env_file=None, redis_url=url, api_key="sk-hunter4")  # type: ignore[call-arg, arg-type]
    app = create_app(settings)
    pool = connection_pool(settings)
    connection = app.connection()
    shown = [
        *(app.bugreport(), app.conf.humanize(with_defaults=True, censored=True), app.conf.table(censored=True)),
        *(connection.as_uri(), repr(connection), app.backend.as_uri(), repr(pool), repr(settings.address)),
        *(repr(settings), str(settings.model_dump()), settings.model_dump_json()),
    ]
    assert "hunter" not in " ".join(map(str, shown))
    app.close()
    pool.disconnect()
