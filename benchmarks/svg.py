"""Parts of the plots that are drawn without a library."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bounds import Reach

#: The colour of each way of polling.
COLOURS = {
    "uniform": "#b45309",
    "hazard-aware": "#1d4ed8",
    "without length": "#1d4ed8",
    "with length": "#7c3aed",
    "best of all": "#15803d",
    "best with length": "#15803d",
}


def how_late(
    reached: Mapping[float, Mapping[str, Reach]], left: float, title: str, labels: Sequence[tuple[str, float, float]]
) -> Iterable[str]:
    """Yield a plot of the mean delay by the spread of durations.

    Args:
        reached: What each way of polling reaches, by the spread.
        left: Where the plot begins.
        title: Its title.
        labels: The name of each way, at which spread it stands, and how much above its line, in seconds.
    """
    width, bottom, most_seconds, height = 330, 270, 4.0, 230
    sigmas = list(reached)

    def point(sigma: float, seconds: float) -> tuple[float, float]:
        return left + (sigma - sigmas[0]) / (sigmas[-1] - sigmas[0]) * width, bottom - seconds / most_seconds * height

    yield text_at(left, 24, title, weight="bold")
    for seconds in range(5):
        y = point(sigmas[0], seconds)[1]
        yield f'<path d="M{left} {y:.1f}h{width}" stroke="#e2e8f0"/>'
        yield text_at(left - 28, y + 4, f"{seconds} s")
    for name in next(iter(reached.values())):
        points = [point(sigma, ways[name].lag_seconds) for sigma, ways in reached.items()]
        yield line(points, COLOURS[name], dashes="5 4" if name.startswith("best") else "")
    for name, sigma, above in labels:
        at = reached[min(sigmas, key=lambda known: abs(known - sigma))][name].lag_seconds
        yield text_at(*point(sigma, at + above), name, colour=COLOURS[name])
    marks = [(point(sigma, 0)[0], f"{sigma}") for sigma in sigmas]
    yield from axis(left, width, bottom, marks, "spread of durations (sigma of the logarithm)")


def axis(left: float, width: float, y: float, marks: Sequence[tuple[float, str]], title: str) -> Iterable[str]:
    """Yield an axis with its marks and its title."""
    yield f'<path d="M{left} {y}h{width}" stroke="#334155"/>'
    for x, label in marks:
        yield text_at(x, y + 16, label, anchor="middle")
    yield text_at(left + width / 2, y + 36, title, anchor="middle")


def line(points: Iterable[tuple[float, float]], colour: str, dashes: str = "") -> str:
    """Return a line through points."""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    style = f' stroke-dasharray="{dashes}"' if dashes else ""
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{style}/>'


def text_at(
    x: float, y: float, text: str, *, colour: str = "#334155", anchor: str = "start", weight: str = "normal"
) -> str:
    """Return a text at a point."""
    style = f'fill="{colour}" text-anchor="{anchor}" font-weight="{weight}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{text}</text>'
