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


_EPILOG = """\b
Example:
  wanimate-simulator check --base-url https://api.example.com

\b
Exit codes:
  0    no differences
  1    at least one check differs from the documentation
  2    invalid usage
"""


@click.command(epilog=_EPILOG, context_settings={"show_default": True})
@click.option("--base-url", required=True, envvar="WANIMATE_API_BASE_URL", metavar="URL", help="API to check.")
@click.option(
    "--api-key",
    required=True,
    envvar="WANIMATE_API_KEY",
    metavar="KEY",
    help="API key; prefer the variable WANIMATE_API_KEY.",
)
@click.option(
    "--requests-per-minute",
    default=10,
    type=click.IntRange(1),
    metavar="N",
    help="Rate limit of the checks; the free plan allows 10.",
)
@click.option("--spend", is_flag=True, help="Also submit one task at 480p, which is billed.")
@click.option("--image-url", metavar="URL", help="With --spend: character image.")
@click.option("--video-url", metavar="URL", help="With --spend: motion video; up to 5 s costs least.")
@click.option("--callback-url", metavar="URL", help="With --spend: public https URL for callbacks.")
@click.option(
    "--callback-port",
    type=click.IntRange(1, 65535),
    metavar="N",
    help="With --callback-url: receive the callbacks on this port of 127.0.0.1, behind a tunnel or proxy.",
)
@click.option(
    "--timeout-seconds", default=600.0, type=click.FloatRange(1), metavar="SECONDS", help="Time limit of the task."
)
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
    """Compare an API with the vendor's documentation.

    The checks are free: without --spend, no request can become a task.
    """
    if spend and not (image_url and video_url):
        raise click.UsageError("--spend requires --image-url and --video-url")
    if not spend and (image_url or video_url or callback_url):
        raise click.UsageError("--image-url, --video-url and --callback-url require --spend")
    if callback_port and not callback_url:
        raise click.UsageError("--callback-port requires --callback-url")
    if not (api_key.isascii() and api_key.isprintable() and api_key.strip()):
        raise click.UsageError("--api-key contains invalid characters")
    console = Console(highlight=False, soft_wrap=False)
    with ExitStack() as stack:
        try:
            api = Api(base_url, api_key, requests_per_minute=requests_per_minute)
            listener = stack.enter_context(Listener(callback_port)) if callback_port else None
        except UnsafeAddressError as error:
            raise click.BadParameter(str(error), param_hint="--base-url") from error
        except OSError as error:
            raise click.ClickException(f"cannot listen on port {callback_port}: {error.strerror}") from error
        stack.callback(api.close)
        findings = _collect("free checks", free_checks(api), console)
        if spend and image_url and video_url:
            console.print(
                "The paid part submits one task at 480p, which is billed for the length of the video, at least 5 s. At "
                "0.04 USD per second (your price may differ), 5 s cost 0.20 USD."
            )
            sample = Sample(image_url, video_url, callback_url, timeout_seconds=timeout_seconds)
            checks = paid_checks(
                api, sample, listener, lambda task_id: console.print(f"submitted: {task_id}", markup=False)
            )
            findings += _collect("paid checks", checks, console)
    _show(findings, console)
    if any(each.verdict is Verdict.DIFFERS for each in findings):
        raise SystemExit(1)


def _collect(part: str, checks: Iterator[Finding], console: Console) -> list[Finding]:
    with console.status(f"{part} …") as status:
        findings = []
        for finding in checks:
            findings.append(finding)
            status.update(f"{part}: {len(findings)} done, last: {finding.subject}")
    return findings


def _show(findings: list[Finding], console: Console) -> None:
    table = Table("check", "documented", "observed", "")
    table.columns[3].no_wrap = True
    for each in findings:
        # Text: responses are not markup.
        cells = (each.subject, each.documented, each.observed)
        table.add_row(*map(Text, cells), Text(each.verdict.value, _STYLES[each.verdict]))
    console.print(table)
    counts = (f"{verdict.value}: {sum(each.verdict is verdict for each in findings)}" for verdict in Verdict)
    console.print(", ".join(counts))
