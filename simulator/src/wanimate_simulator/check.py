"""The command `wanimate-simulator check`."""

from collections.abc import Iterator
from contextlib import ExitStack

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from .conformance import Api, Finding, Listener, Sample, UnsafeAddressError, Verdict, free_checks, paid_checks

_STYLES = {
    Verdict.CONFORMS: "green",
    Verdict.EITHER: "yellow",
    Verdict.DIFFERS: "bold red",
    Verdict.NOT_CHECKED: "dim",
}


@click.command(context_settings={"show_default": True})
@click.option("--base-url", required=True, envvar="WANIMATE_API_BASE_URL", metavar="URL", help="The API to check.")
@click.option("--api-key", required=True, envvar="WANIMATE_API_KEY", help="Its key; best given as WANIMATE_API_KEY.")
@click.option(
    "--requests-per-minute", default=10, type=click.IntRange(1), help="Requests in any minute; the free plan has 10."
)
@click.option("--spend", is_flag=True, help="Run the paid part too: one task at 480p.")
@click.option("--image-url", metavar="URL", help="With --spend: the character image.")
@click.option("--video-url", metavar="URL", help="With --spend: the motion video; 5 s or shorter costs least.")
@click.option("--callback-url", metavar="URL", help="With --spend: ask the vendor to call this public https URL.")
@click.option(
    "--callback-port",
    type=click.IntRange(1, 65535),
    help="With --callback-url: receive the calls on this port of 127.0.0.1, where a tunnel or proxy passes them on.",
)
@click.option("--timeout-seconds", default=600.0, type=click.FloatRange(1), help="How long to wait for the task's end.")
def check(
    *,
    base_url: str,
    api_key: str,
    requests_per_minute: int,
    spend: bool,
    image_url: str | None,
    video_url: str | None,
    callback_url: str | None,
    callback_port: int | None,
    timeout_seconds: float,
) -> None:
    """Check whether an API behaves as the vendor documents it.

    Without --spend nothing is sent that could become a task. Ends with 0 if nothing differs, 1 otherwise.
    """
    if spend and not (image_url and video_url):
        raise click.UsageError("--spend needs --image-url and --video-url")
    if not spend and (image_url or video_url or callback_url):
        raise click.UsageError("--image-url, --video-url and --callback-url need --spend")
    if callback_port and not callback_url:
        raise click.UsageError("--callback-port needs --callback-url")
    if not (api_key.isascii() and api_key.isprintable() and api_key.strip()):
        raise click.UsageError("--api-key holds characters that no key has")
    console = Console(highlight=False, soft_wrap=False)
    with ExitStack() as stack:
        try:
            api = Api(base_url, api_key, requests_per_minute=requests_per_minute)
            listener = stack.enter_context(Listener(callback_port)) if callback_port else None
        except UnsafeAddressError as error:
            raise click.BadParameter(str(error), param_hint="--base-url") from error
        except OSError as error:
            raise click.ClickException(f"port {callback_port} cannot be listened on: {error.strerror}") from error
        stack.callback(api.close)
        findings = _collect("free part", free_checks(api), console)
        if spend and image_url and video_url:
            console.print(
                "The paid part submits one task at 480p. It costs the price of 5 s if the video is 5 s or shorter, "
                "and of its length otherwise; at 0.04 USD a second, which may not be your price, 5 s are 0.20 USD."
            )
            sample = Sample(image_url, video_url, callback_url, timeout_seconds=timeout_seconds)
            checks = paid_checks(
                api, sample, listener, lambda task_id: console.print(f"submitted: {task_id}", markup=False)
            )
            findings += _collect("paid part", checks, console)
    _show(findings, console)
    if any(each.verdict is Verdict.DIFFERS for each in findings):
        raise SystemExit(1)


def _collect(part: str, checks: Iterator[Finding], console: Console) -> list[Finding]:
    with console.status(f"{part} …") as status:
        findings = []
        for finding in checks:
            findings.append(finding)
            status.update(f"{part}: {len(findings)} checked, last: {finding.subject}")
    return findings


def _show(findings: list[Finding], console: Console) -> None:
    table = Table("check", "documented", "observed", "")
    table.columns[3].no_wrap = True
    for each in findings:
        # Text: what the API answers is no markup.
        cells = (each.subject, each.documented, each.observed)
        table.add_row(*map(Text, cells), Text(each.verdict.value, _STYLES[each.verdict]))
    console.print(table)
    counts = (f"{verdict.value}: {sum(each.verdict is verdict for each in findings)}" for verdict in Verdict)
    console.print(", ".join(counts))
