"""What a contender is given to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wanimate import AnimateJob, ReplaceJob

if TYPE_CHECKING:
    from wanimate.contract import Job


@dataclass(frozen=True, slots=True)
class Load:
    """A number of jobs and the vendor they meet.

    Args:
        jobs: How many.
        cap: The vendor's slots.
        rate: The vendor's requests in 60 simulated seconds.
        speed: Simulated seconds in a second.
        mean_seconds: Mean duration of animate at 480p, simulated.
        sigma: Deviation of the duration's logarithm.
        is_mixed: Whether there are both types and both resolutions; else all are animate at 480p.
        workers: Worker processes.
    """

    jobs: int
    cap: int
    rate: int
    speed: float
    mean_seconds: float = 41.0
    sigma: float = 0.3
    is_mixed: bool = True
    workers: int = 2

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

    def job(self, number: int, **fields: Any) -> Job:
        """Return one of the jobs; the simulator knows it by its marker."""
        kind = ReplaceJob if self.is_mixed and number % 3 == 0 else AnimateJob
        return kind(
            image_url=f"https://example.com/{number}.png?marker={marker(number)}",
            video_url="https://example.com/motion.mp4",
            resolution="720p" if self.is_mixed and number % 2 else "480p",
            **fields,
        )

    def vendor_job(self, number: int) -> dict[str, Any]:
        """Return the same job as a peer gets it: its marker, and the vendor's input."""
        job = self.job(number)
        return {
            "marker": marker(number),
            "input": {
                "mode": "standard",
                "type": job.type,
                "image_urls": [job.image_url],
                "video_urls": [job.video_url],
                "resolution": job.resolution,
                "seed": job.seed,
            },
        }


def marker(number: int) -> str:
    """Return the name by which the simulator knows a job."""
    return f"job-{number}"
