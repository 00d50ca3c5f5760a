"""The range of values, and how far they are from those of a reference; sums that add up."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Where(NamedTuple):
    """An operator, as the results name it, in a phase; layer: of the model, None outside of the blocks."""

    phase: str
    operator: str
    layer: int | None


@dataclass(frozen=True)
class Moments:
    """Of `elements` values: the smallest, the largest and the sum of squares, and the same of their errors.

    An error is the difference to the reference's value.  A NaN among the values is one in all that it enters.
    """

    elements: int
    smallest: float
    largest: float
    squares: float
    largest_error: float
    error_squares: float
    reference_squares: float

    @classmethod
    def of(cls, values: NDArray[np.float32], reference: NDArray[np.float32]) -> Moments:
        """Of values, one at least, beside as many of the reference, in any shape."""
        own, other = values.reshape(-1).astype(np.float64), reference.reshape(-1).astype(np.float64)
        with np.errstate(invalid="ignore"):  # inf - inf is the NaN that it should be
            errors = own - other
        return cls(
            len(own),
            float(own.min()),
            float(own.max()),
            float(own @ own),
            float(np.abs(errors).max()),
            float(errors @ errors),
            float(other @ other),
        )

    def __add__(self, other: Moments) -> Moments:
        return Moments(
            self.elements + other.elements,
            float(np.minimum(self.smallest, other.smallest)),
            float(np.maximum(self.largest, other.largest)),
            self.squares + other.squares,
            float(np.maximum(self.largest_error, other.largest_error)),
            self.error_squares + other.error_squares,
            self.reference_squares + other.reference_squares,
        )

    @property
    def rms(self) -> float:
        """The root mean square of the values."""
        return math.sqrt(self.squares / self.elements)

    @property
    def rms_error(self) -> float:
        """The root mean square of the errors."""
        return math.sqrt(self.error_squares / self.elements)

    @property
    def relative_error(self) -> float:
        """`rms_error` over the root mean square of the reference; 0 where both are 0."""
        if self.reference_squares:
            return math.sqrt(self.error_squares / self.reference_squares)
        return math.inf if self.error_squares else 0.0

    def as_dict(self) -> dict[str, float]:
        """Range and error by name, as tables and timelines have them."""
        return {
            "min": self.smallest,
            "max": self.largest,
            "rms": self.rms,
            "max_abs_error": self.largest_error,
            "rms_error": self.rms_error,
            "relative_error": self.relative_error,
        }
