"""The receiver's process: `wanimate-worker callbacks`."""

from __future__ import annotations

from typing import Final

from wanimate.contract import Keys
from wanimate.errors import SettingsError

from ..engine.doorbell import Doorbell
from ..engine.signature import Signer
from ..serving import open_hasty_database, serve
from ..settings import WorkerSettings
from ..telemetry import set_up_logs
from .receiver import Receiver

#: Requests at once; beyond that callers get 503. A full account has a few dozen callbacks a second.
_MOST_REQUESTS: Final = 500


def run_receiver(host: str, port: int) -> None:
    """Receive callbacks until told to stop.

    Args:
        host: The address to listen on.
        port: The port to listen on.

    Raises:
        SettingsError: Callbacks are not switched on, or a setting is wrong.
    """
    settings = WorkerSettings.load()
    set_up_logs(settings.log_format, settings.log_level)
    serve(make_receiver(settings), host, port, most_requests=_MOST_REQUESTS)


def make_receiver(settings: WorkerSettings) -> Receiver:
    """Return the receiver for these settings.

    Args:
        settings: The settings of the workers whose callbacks it receives.

    Raises:
        SettingsError: Callbacks are not switched on, or the Redis database belongs to another account.
    """
    if settings.callback_base_url is None or settings.callback_secret is None:
        raise SettingsError(
            "WANIMATE_CALLBACK_BASE_URL: set the address where the vendor reaches this receiver, here and for the "
            "workers; without it they ask for no callbacks"
        )
    # Its URLs name the account, so callbacks of another one are refused even if Redis is away now.
    redis, ledger = open_hasty_database(settings)
    doorbell = Doorbell(redis, Keys(settings.account), round(settings.lease_seconds * 1000))
    return Receiver(redis, ledger, settings.account, Signer(settings.callback_secret), doorbell)
