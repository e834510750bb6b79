"""Checks whether an API behaves as the vendor documents it; runs against the simulator and against the vendor."""

from .api import Api, UnsafeAddressError
from .findings import Finding, Verdict
from .free import free_checks
from .listener import Listener
from .paid import Sample, paid_checks

__all__ = ["Api", "Finding", "Listener", "Sample", "UnsafeAddressError", "Verdict", "free_checks", "paid_checks"]
