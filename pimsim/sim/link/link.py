"""What one link can do.  All links of a system are equal."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

PS_IN_NS = 1000
BITS = 8


@dataclass(frozen=True)
class Link:
    """A link, in each of its two directions, which do not disturb each other.

    bandwidth_GBps: bytes per ns, exact; None: a message takes no time to be sent.
    latency_ps: from one end to the other, of each hop, with what the switch there needs.
    flit_bytes: messages are filled up to a multiple of it.
    energy_pJ_per_bit: of each hop, the filling included.
    ValueError where one of them cannot be; all that is wrong at once.
    """

    bandwidth_GBps: Fraction | None
    latency_ps: int = 0
    flit_bytes: int = 1
    energy_pJ_per_bit: Fraction = Fraction(0)

    def __post_init__(self) -> None:
        if wrong := list(self._wrong()):
            raise ValueError("; ".join(wrong))

    def _wrong(self) -> list[str]:
        checks = {
            "the bandwidth of a link is above 0": self.bandwidth_GBps is None or self.bandwidth_GBps > 0,
            "the latency of a link is at least 0 ps": self.latency_ps >= 0,
            "a flit has at least one byte": self.flit_bytes >= 1,
            "the energy of a bit is at least 0 pJ": self.energy_pJ_per_bit >= 0,
        }
        return [what for what, holds in checks.items() if not holds]

    def filled(self, size_bytes: int) -> int:
        """Bytes on the link of a message of `size_bytes`: whole flits."""
        return -(-size_bytes // self.flit_bytes) * self.flit_bytes

    def serialise_ps(self, size_bytes: int) -> int:
        """How long a message occupies a link: its flits over the bandwidth, rounded up once."""
        if self.bandwidth_GBps is None:
            return 0
        rate = self.bandwidth_GBps
        return -(-self.filled(size_bytes) * PS_IN_NS * rate.denominator // rate.numerator)

    @property
    def flit_ps(self) -> int:
        """How long one flit occupies a link, rounded up."""
        return self.serialise_ps(1)

    def energy_pJ(self, filled_bytes: int) -> Fraction:
        """Of so many bytes of flits, each over one hop."""
        return filled_bytes * BITS * self.energy_pJ_per_bit
