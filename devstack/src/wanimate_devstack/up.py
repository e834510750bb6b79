"""The whole stack until Ctrl-C: on the vendor with an API key, else on the simulator."""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import signal
import sys
import threading
from base64 import b64encode
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from wanimate.text import one_line
from wanimate_worker.settings import WorkerSettings

from .stack import SIMULATOR_KEY, Stack, StackOptions

if TYPE_CHECKING:
    from rich.console import Console


#: What every process of an account must agree on.
_AGREED: Final = {
    "WANIMATE_ACCOUNT",
    "WANIMATE_MAX_IN_FLIGHT",
    "WANIMATE_REQUESTS_PER_MINUTE",
    "WANIMATE_DAILY_BILLED_SECONDS",
}

_SHOW_EVENTS: Final = 'python -c "from wanimate import Client; [print(e.job_id, e.state) for e in Client().events()]"'


def run_up(console: Console) -> int:
    """Run the stack until it is told to stop and return the exit code.

    Args:
        console: Where to show the addresses.
    """
    settings = WorkerSettings.load()
    uses_vendor = settings.api_key is not None
    webhooks = _webhooks(settings)
    options = StackOptions(
        simulator=None if uses_vendor else {"cap": str(settings.max_in_flight)},
        settings=webhooks,
        has_ops=True,
        has_store=settings.keep_url is None,
        # Jobs on the vendor cost money: they outlive this process.
        data_folder=Path(".wanimate/redis").absolute() if uses_vendor else None,
    )
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    with console.status("starting …"):
        stack = Stack(options)
        stack.start()
    show = partial(console.print, soft_wrap=True)
    try:
        simulated = f"{stack.simulator_url} (simulator: nothing is billed, a video takes about 40 s as with the vendor)"
        buttons = "" if settings.flower_auth else " (to cancel there, set WANIMATE_FLOWER_AUTH=user:password)"
        console.print("[bold]Wanimate is up.[/] Ctrl-C stops it.")
        console.print(f"  vendor  {settings.api_base_url if uses_vendor else simulated}")
        show(f"  Flower  {stack.flower_url}{buttons}")
        show(f"  limits  {stack.ops_url} (slots, queue, budget and cost; or: wanimate-worker top)")
        show(f"  videos  {settings.keep_url or stack.videos_folder}")
        console.print(f"  logs    {stack.folder}{os.sep}\n")
        console.print("In another terminal:")
        if shutil.which("wanimate") is None:
            show(f"  . {os.path.relpath(Path(sys.prefix) / 'bin' / 'activate')}")
        show(f"  export WANIMATE_REDIS_URL={stack.redis.url}")
        if not uses_vendor:
            vendor = f"WANIMATE_API_BASE_URL={stack.simulator_url} WANIMATE_API_KEY={SIMULATOR_KEY}"
            show(f"  export {vendor}    # for wanimate-worker")
        if webhooks:
            exported = " ".join(f"{name}={value}" for name, value in webhooks.items())
            show(f"  export {exported}    # for a backend that gets webhooks")
        for name in sorted(_AGREED & os.environ.keys()):
            show(f"  export {name}={shlex.quote(os.environ[name])}")
        show("  wanimate animate --image https://example.com/a.png --video https://example.com/b.mp4 --wait")
        show(f"  {_SHOW_EVENTS}    # how jobs end\n", markup=False)
        while not stopped.wait(1.0):
            ended = stack.ended()
            if ended is not None:
                console.print(f"[red]{ended.name} ended with exit code {ended.exit_code}:[/]")
                console.print("\n".join(map(one_line, ended.log_tail().splitlines())), markup=False, emoji=False)
                return 1
    finally:
        with console.status("stopping: requests under way are finished first …"):
            stack.stop()
    console.print("stopped")
    return 0


def _webhooks(settings: WorkerSettings) -> dict[str, str]:
    """Return settings with which a backend on this machine can have webhooks, where none are set."""
    webhooks = {}
    if settings.webhook_secret is None:
        webhooks["WANIMATE_WEBHOOK_SECRET"] = f"whsec_{b64encode(secrets.token_bytes(32)).decode()}"
    if not settings.webhook_networks:
        webhooks["WANIMATE_WEBHOOK_NETWORKS"] = "127.0.0.0/8,::1/128"
    return webhooks
