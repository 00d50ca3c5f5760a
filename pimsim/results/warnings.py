"""What a careful reader would want to know before quoting a figure, as far as the figures themselves say it.

What is odd about the input is known before a simulation: see `pimsim.api.warnings`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pimsim.config.schema import Config
from pimsim.errors import Problem

# A check looks at the configuration and at the summary's workload, system and baselines; a problem names
# the key that would change what it finds.
Check = Callable[[Config, Mapping[str, Any]], Iterable[Problem]]

CHECKS: tuple[Check, ...] = ()


def figure_warnings(config: Config, figures: Mapping[str, Any]) -> tuple[Problem, ...]:
    """What the figures of a run say that needs saying; `figures` has the summary's workload, system, baselines."""
    return tuple(problem for check in CHECKS for problem in check(config, figures))
