"""What contenders are given to do, and how much of it there is in each profile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wanimate import AnimateJob, ReplaceJob
from wanimate_worker.vendor.request import request_body

if TYPE_CHECKING:
    from wanimate.contract import Job


@dataclass(frozen=True, slots=True)
class Load:
    """A number of jobs and the vendor they meet."""

    jobs: int
    #: The vendor's slots, and its requests in 60 simulated seconds.
    cap: int
    rate: int
    #: Simulated seconds in a second.
    speed: float
    #: Whether there are both types and both resolutions; else all are animate at 480p.
    is_mixed: bool = True
    #: Worker processes.
    workers: int = 2
    #: What workers expect of a task before one has ended, in true durations. None for what the product expects of the
    #: real vendor, which at speed 10 is ten times too long.
    prior: float | None = None
    #: Mean duration of animate at 480p, simulated, and the deviation of its logarithm.
    mean_seconds: float = 41.0
    sigma: float = 0.3

    def simulator_options(self) -> dict[str, str]:
        """Return the options the simulator is started with."""
        return {
            "cap": str(self.cap),
            "rate": str(self.rate),
            "speed": f"{self.speed:g}",
            "mean-seconds": f"{self.mean_seconds:g}",
            "sigma": f"{self.sigma:g}",
            # The computed bounds know one distribution for all tasks.
            "length-share": "0",
        }

    def job(self, number: int) -> Job:
        """Return one of the jobs; the simulator knows it by its marker."""
        kind = ReplaceJob if self.is_mixed and number % 3 == 0 else AnimateJob
        return kind(
            image_url=f"https://example.com/{number}.png?marker={marker(number)}",
            video_url="https://example.com/motion.mp4",
            resolution="720p" if self.is_mixed and number % 2 else "480p",
        )

    def vendor_job(self, number: int) -> dict[str, Any]:
        """Return the same job as a peer gets it: its marker, and the body of its request."""
        return {"marker": marker(number), "body": request_body(self.job(number))}


def marker(number: int) -> str:
    """Return the name by which the simulator knows a job."""
    return f"job-{number}"


def _plans(speed: float) -> tuple[Load, ...]:
    sizes = ((120, 3, 10), (400, 10, 60), (4_000, 100, 1_000))
    return tuple(Load(jobs, cap, rate, speed, is_mixed=False) for jobs, cap, rate in sizes)


@dataclass(frozen=True, slots=True)
class Profile:
    """The sizes of one run of the benchmark; the defaults are those of `short`."""

    name: str = "short"
    #: What every contender is given, and the smoke test.
    peers: Load = Load(jobs=3_000, cap=200, rate=2_000, speed=20)
    #: The work of the vendor's own limits: 1,000 slots in real time.
    limits: Load = Load(jobs=1_000, cap=100, rate=1_000, speed=10)
    limits_for_everyone: bool = False
    #: The vendor's own limits at its own speed; in short a quarter of them, at four times the speed.
    scale: Load = Load(jobs=2_500, cap=250, rate=2_500, speed=4, is_mixed=False)
    #: The size of each video that is copied. A real one may have 20 MB; two busy cores cannot move that many bytes.
    video_bytes: int = 200_000
    #: The vendor's smaller plans. A higher speed would shorten what the product's own waits and margins are made for: a
    #: second of a minute.
    plans: tuple[Load, ...] = _plans(speed=4)
    #: A vendor that limits nothing.
    throughput: Load = Load(jobs=1_500, cap=20_000, rate=10_000_000, speed=400, workers=1)
    #: What every contender is given when something goes wrong in the middle, and how many at once; what is lost does
    #: not depend on it.
    faults: Load = Load(jobs=150, cap=60, rate=600, speed=20)
    faults_at_once: int = 3
    #: Without a new result for so long after a fault, jobs count as stranded.
    patience_seconds: float = 8
    idle_seconds: float = 15
    #: The lengths a backlog grows to, and how long each is watched.
    growth_lengths: tuple[int, ...] = (1_000, 25_000)
    growth_seconds: float = 8


FULL = Profile(
    name="full",
    limits_for_everyone=True,
    scale=Load(jobs=10_000, cap=1_000, rate=10_000, speed=1, is_mixed=False),
    plans=_plans(speed=1),
    throughput=Load(jobs=10_000, cap=20_000, rate=10_000_000, speed=400, workers=1),
    faults=Load(jobs=1_000, cap=200, rate=2_000, speed=20),
    faults_at_once=1,
    patience_seconds=45,
    idle_seconds=60,
    growth_lengths=(1_000, 100_000, 1_000_000),
    growth_seconds=20,
)
PROFILES = {profile.name: profile for profile in (Profile(), FULL)}
