"""The process of the limits page and the metrics: `wanimate-worker ops`."""

from __future__ import annotations

from typing import Final

from wanimate.errors import SettingsError

from ..addresses import is_loopback
from ..observability import set_up_logs
from ..serving import open_hasty_database, serve
from ..settings import WorkerSettings
from .app import OpsApp
from .reading import Reader

#: Requests at once; beyond that callers get 503.
_MOST_REQUESTS: Final = 100


def run_ops(host: str, port: int) -> None:
    """Serve the figures until told to stop.

    Args:
        host: The address to listen on.
        port: The port to listen on.

    Raises:
        SettingsError: They would be open to strangers, or a setting is wrong.
    """
    settings = WorkerSettings.load()
    set_up_logs(settings.log_format, settings.log_level)
    check_access(settings, host)
    serve(make_ops(settings), host, port, most_requests=_MOST_REQUESTS)


def check_access(settings: WorkerSettings, host: str) -> None:
    """Make sure that the figures are not open to strangers.

    Args:
        settings: Where the password is.
        host: The address to listen on.

    Raises:
        SettingsError: Others than this machine could reach them without a password.
    """
    if settings.ops_auth is None and not is_loopback(host):
        raise SettingsError(
            f"WANIMATE_OPS_AUTH: the figures would be open to everybody who reaches {host}: set it to user:password, "
            "or listen on 127.0.0.1"
        )


def make_ops(settings: WorkerSettings) -> OpsApp:
    """Return the app for these settings.

    Args:
        settings: Those of the workers whose account it shows.

    Raises:
        SettingsError: The Redis database belongs to another account.
    """
    redis, _ = open_hasty_database(settings)
    return OpsApp(Reader(redis, settings), redis, settings.ops_auth)
