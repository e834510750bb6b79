"""Draws that depend only on a seed and a label, never on the order of arrival."""

from hashlib import blake2b

#: A float holds this many bits of a draw exactly.
_MANTISSA_BITS = 53


def uniform(seed: int, purpose: str, label: str) -> float:
    """Return a number strictly between 0 and 1, the same for the same arguments in every process.

    Args:
        seed: the simulator's seed.
        purpose: what the draw decides, so that two decisions on one label are independent.
        label: what is decided on, such as a marker or a count.
    """
    digest = blake2b(f"{seed}\x1f{purpose}\x1f{label}".encode(), digest_size=8).digest()
    return ((int.from_bytes(digest) >> (64 - _MANTISSA_BITS)) + 0.5) / (1 << _MANTISSA_BITS)
