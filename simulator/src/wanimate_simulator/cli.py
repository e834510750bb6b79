"""The command `wanimate-simulator`."""

from types import MappingProxyType
from typing import NamedTuple

import click
import orjson

from .check import check
from .faults import Faults, InvalidFaultsError
from .options import MAX_VIDEO_BYTES, MIN_VIDEO_BYTES, InvalidOptionsError, Options, are_weights
from .server import NonLoopbackHostError, serve


class Plan(NamedTuple):
    """The limits of a plan.

    Args:
        cap: tasks in flight at the same time.
        rate: requests per minute.
    """

    cap: int
    rate: int


#: Source: the vendor's API overview; the default: its page of this model. Enterprise limits depend on the contract, so
#: these are an example.
PLANS = MappingProxyType(
    {
        "free": Plan(3, 10),
        "pro": Plan(10, 60),
        "enterprise": Plan(100, 1000),
        "default": Plan(1000, 10_000),
    }
)


class _Bounded(click.FloatRange):
    """A range that help texts do not repeat: their wording gives it."""

    def _describe_range(self) -> str:
        return ""


class _BoundedInt(click.IntRange):
    """The same for integers."""

    def _describe_range(self) -> str:
        return ""


_SHARE, _AMOUNT, _POSITIVE = _Bounded(0, 1), _Bounded(0), _Bounded(0, min_open=True)
_COUNT, _PORT = _BoundedInt(1), _BoundedInt(0, 65535)


def _parse_faults(_context: click.Context, _parameter: click.Parameter, value: str) -> Faults:
    try:
        faults = Faults.parse(orjson.loads(value))
    except (orjson.JSONDecodeError, InvalidFaultsError) as error:
        raise click.BadParameter(str(error)) from error
    if faults.refuse_for_seconds:
        raise click.BadParameter("refuse_for_seconds works only through PUT /simulator/faults, not at the start")
    return faults


def _parse_codes(_context: click.Context, _parameter: click.Parameter, value: str) -> dict[str, float]:
    try:
        codes: object = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise click.BadParameter(str(error)) from error
    if not are_weights(codes):
        raise click.BadParameter("must be a JSON object with a weight above 0 for each code")
    return codes  # type: ignore[return-value]  # checked just above


_EPILOG = "\b\nExample:\n  wanimate-simulator --plan free --speed 10 --failure-rate 0.1"


@click.group(
    invoke_without_command=True,
    epilog=_EPILOG,
    context_settings={"show_default": True, "help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(package_name="wanimate-simulator")
@click.option("--host", default="127.0.0.1", help="Address to listen on.")
@click.option("--port", default=8900, type=_PORT, metavar="N", help="Port to listen on; 0 for a free one.")
@click.option("--plan", default="default", type=click.Choice(list(PLANS)), help="Use the limits of this plan.")
@click.option("--cap", type=_COUNT, metavar="N", help="Maximum number of tasks in flight.  [default: the plan's]")
@click.option("--rate", type=_COUNT, metavar="N", help="Requests per simulated minute.  [default: the plan's]")
@click.option("--speed", default=1.0, type=_POSITIVE, metavar="X", help="Simulated seconds per second.")
@click.option("--seed", default=0, metavar="N", help="Seed of all random numbers.")
@click.option("--api-key", default=["simulator-key"], multiple=True, metavar="KEY", help="Valid API key; repeatable.")
@click.option(
    "--mean-seconds", default=41.0, type=_POSITIVE, metavar="SECONDS", help="Mean simulated duration of animate, 480p."
)
@click.option("--sigma", default=0.3, type=_AMOUNT, metavar="X", help="Deviation of the logarithm of durations.")
@click.option(
    "--length-share",
    default=0.8,
    type=_SHARE,
    metavar="SHARE",
    help="Share of the duration proportional to the length.",
)
@click.option("--balance-usd", type=_AMOUNT, metavar="USD", help="Balance at the start.  [default: unlimited]")
@click.option("--price-480p", default=0.04, type=_AMOUNT, metavar="USD", help="Price per second at 480p.")
@click.option("--price-720p", default=0.08, type=_AMOUNT, metavar="USD", help="Price per second at 720p.")
@click.option(
    "--result-ttl-seconds",
    default=86_400.0,
    type=_AMOUNT,
    metavar="SECONDS",
    help="Simulated time until a result expires.",
)
@click.option(
    "--video-bytes",
    default=20_000,
    type=_BoundedInt(MIN_VIDEO_BYTES, MAX_VIDEO_BYTES),
    metavar="BYTES",
    help=f"Size of each video, at least {MIN_VIDEO_BYTES}.",
)
@click.option("--public-url", metavar="URL", help="Base of result URLs.  [default: the address of the submission]")
@click.option("--failure-rate", default=0.0, type=_SHARE, metavar="SHARE", help="Share of tasks that fail.")
@click.option(
    "--failure-codes",
    default='{"GENERATION_FAILED": 1}',
    callback=_parse_codes,
    metavar="JSON",
    help="Failure codes and their weights.",
)
@click.option(
    "--content-violation-rate",
    default=0.0,
    type=_SHARE,
    metavar="SHARE",
    help="Share of jobs that fail with CONTENT_VIOLATION.",
)
@click.option("--faults", default="{}", callback=_parse_faults, metavar="JSON", help="Faults at the start.")
@click.option("--allow-non-loopback", is_flag=True, help="Allow other hosts to connect and to receive callbacks.")
@click.option("--quiet", is_flag=True, help="Log errors only; still print the ready line.")
@click.pass_context
def main(
    context: click.Context,
    *,
    host: str,
    port: int,
    plan: str,
    cap: int | None,
    rate: int | None,
    speed: float,
    seed: int,
    api_key: tuple[str, ...],
    mean_seconds: float,
    sigma: float,
    length_share: float,
    balance_usd: float | None,
    price_480p: float,
    price_720p: float,
    result_ttl_seconds: float,
    video_bytes: int,
    public_url: str | None,
    failure_rate: float,
    failure_codes: dict[str, float],
    content_violation_rate: float,
    faults: Faults,
    allow_non_loopback: bool,
    quiet: bool,
) -> None:
    """Simulate the Wan 2.2 Animate API on this machine.

    The simulator enforces the vendor's limits, injects faults, and records every accepted task under /simulator. SHARE
    is a number from 0 to 1.
    """
    if context.invoked_subcommand is not None:
        return
    cap, rate = cap or PLANS[plan].cap, rate or PLANS[plan].rate
    limits = f"cap {cap}, {rate} requests per minute, speed {speed:g}x"
    try:
        options = Options(
            cap=cap,
            rate=rate,
            speed=speed,
            seed=seed,
            api_keys=api_key,
            mean_seconds=mean_seconds,
            sigma=sigma,
            length_share=length_share,
            balance_usd=balance_usd,
            price_480p=price_480p,
            price_720p=price_720p,
            result_ttl_seconds=result_ttl_seconds,
            video_bytes=video_bytes,
            public_url=public_url and public_url.rstrip("/"),
            failure_rate=failure_rate,
            failure_codes=failure_codes,
            content_violation_rate=content_violation_rate,
            allow_non_loopback=allow_non_loopback,
        )
        serve(
            options,
            faults,
            host=host,
            port=port,
            on_ready=lambda url: click.echo(f"wanimate-simulator ready on {url} ({limits})"),
            log_level="error" if quiet else "warning",
        )
    except NonLoopbackHostError as error:
        raise click.UsageError(f"{error} (--allow-non-loopback)") from error
    except (InvalidOptionsError, OSError) as error:
        raise click.ClickException(str(error)) from error


main.add_command(check)
