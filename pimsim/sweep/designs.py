"""Designs: which points of an n-dimensional box are simulated.  Shares are from 0 to 1, a row per point.

Random and Latin hypercube use numpy's PCG64, whose stream is the same everywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pimsim.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Shares = NDArray[np.float64]


def random_shares(samples: int, dimensions: int, seed: int) -> Shares:
    """Independent and uniform."""
    import numpy as np

    return np.random.Generator(np.random.PCG64(seed)).random((samples, dimensions))


def latin_hypercube_shares(samples: int, dimensions: int, seed: int) -> Shares:
    """One value in each of `samples` equal slices of every dimension, in a random order, anywhere in its slice."""
    import numpy as np

    uniform = random_shares(2 * samples, dimensions, seed)
    slices = np.argsort(uniform[:samples], axis=0, kind="stable")
    return (slices + uniform[samples:]) / samples


def sobol_shares(samples: int, dimensions: int, seed: int) -> Shares:
    """Saltelli's design: A, B, then for each dimension A with that column of B; samples x (dimensions + 2) rows.

    A and B are the halves of a scrambled Sobol sequence. Saltelli et al., Computer
    Physics Communications 181 (2010) 259; scipy.stats.sobol_indices reads it.
    """
    import numpy as np

    sequence = _qmc().Sobol(2 * dimensions, scramble=True, seed=seed).random(samples)
    first, second = sequence[:, :dimensions], sequence[:, dimensions:]
    mixed = []
    for dimension in range(dimensions):
        part = first.copy()
        part[:, dimension] = second[:, dimension]
        mixed.append(part)
    return np.concatenate([first, second, *mixed])


def _qmc() -> Any:
    try:
        from scipy.stats import qmc
    except ImportError:
        raise InputError("needs scipy: pip install 'pimsim[dse]'") from None
    return qmc
