"""How long a request to the vendor may take."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Bounds on the steps of one request; all in seconds.

    A submission may read for longer than a status request: giving up on it leaves a job that may have been paid for,
    giving up on a status request only means asking again. An exchange as a whole is bounded by about the sum of its
    steps, which must stay below the lease of a submission (looking up the host's name is bounded by the resolver).

    Args:
        connect_seconds: To connect, TLS included; also to get a connection from the pool.
        write_seconds: To hand the request to the network.
        submit_read_seconds: Silence after which a submission counts as unanswered.
        status_read_seconds: Silence after which a status request counts as unanswered.

    Raises:
        ValueError: A bound is not positive.
    """

    connect_seconds: float = 5.0
    write_seconds: float = 10.0
    submit_read_seconds: float = 30.0
    status_read_seconds: float = 15.0

    def __post_init__(self) -> None:
        bounds = (self.connect_seconds, self.write_seconds, self.submit_read_seconds, self.status_read_seconds)
        if not all(bound > 0 for bound in bounds):
            raise ValueError("a time-out must be longer than 0 seconds")
