"""Simulates the Wan 2.2 Animate API on loopback, with fault switches and a ground-truth ledger."""

from .app import build_app
from .faults import Faults, InvalidFaultsError
from .options import InvalidOptionsError, Options
from .server import NonLoopbackHostError, serve
from .simulator import Simulator

__all__ = [  # grouped by use
    # What to run
    "Faults",
    "Options",
    # Running it
    "Simulator",
    "build_app",
    "serve",
    # Errors
    "InvalidFaultsError",
    "InvalidOptionsError",
    "NonLoopbackHostError",
]
