"""The whole stack until Ctrl-C: on the vendor with an API key, else on the simulator."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import sys
import threading
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


def run_up(console: Console) -> int:
    """Run the stack until it is told to stop and return the exit code.

    Args:
        console: Where to show the addresses.
    """
    settings = WorkerSettings.load()
    uses_vendor = settings.api_key is not None
    options = StackOptions(simulator=None if uses_vendor else {"cap": str(settings.max_in_flight)}, has_ops=True)
    if uses_vendor:
        # Jobs on the vendor cost money: they outlive this process.
        options = StackOptions(simulator=None, has_ops=True, data_folder=Path(".wanimate/redis").absolute())
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    with console.status("starting …"):
        stack = Stack(options)
        stack.start()
    try:
        simulated = f"{stack.simulator_url} (simulator: nothing is billed, a video takes about 40 s as with the vendor)"
        vendor = settings.api_base_url if uses_vendor else simulated
        console.print("[bold]Wanimate is up.[/] Ctrl-C stops it.")
        console.print(f"  vendor  {vendor}")
        buttons = "" if settings.flower_auth else " (to cancel there, set WANIMATE_FLOWER_AUTH=user:password)"
        console.print(f"  Flower  {stack.flower_url}{buttons}", soft_wrap=True)
        console.print(
            f"  limits  {stack.ops_url} (slots, queue, budget and cost; or: wanimate-worker top)", soft_wrap=True
        )
        console.print(f"  logs    {stack.folder}{os.sep}\n")
        console.print("In another terminal:")
        if shutil.which("wanimate") is None:
            console.print(f"  . {os.path.relpath(Path(sys.prefix) / 'bin' / 'activate')}", soft_wrap=True)
        console.print(f"  export WANIMATE_REDIS_URL={stack.redis.url}", soft_wrap=True)
        if not uses_vendor:
            console.print(
                f"  export WANIMATE_API_BASE_URL={stack.simulator_url} WANIMATE_API_KEY={SIMULATOR_KEY}"
                "    # for wanimate-worker",
                soft_wrap=True,
            )
        for name in sorted(_AGREED & os.environ.keys()):
            console.print(f"  export {name}={shlex.quote(os.environ[name])}", soft_wrap=True)
        console.print(
            "  wanimate animate --image https://example.com/a.png --video https://example.com/b.mp4 --wait\n",
            soft_wrap=True,
        )
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
