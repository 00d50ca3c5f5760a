"""What happens within one instant of a simulation: what ends does so first, then choices are made in a stated order.

SimPy serves events of one instant by priority, then in the order in which they were made.
The latter depends on what happened long before, so nothing here relies on it.
"""

from __future__ import annotations

import simpy
from simpy.events import EventPriority

FIRST_CHOICE = 2  # after SimPy's own priorities: 0 urgent, 1 normal


class Choice(simpy.Event):
    """Comes when all that ends at its instant has ended; of several, those of lower `order` come first."""

    def come(self, delay: int, order: int = 0) -> Choice:
        """Come `delay` from now."""
        self._ok, self._value = True, None
        self.env.schedule(self, EventPriority(FIRST_CHOICE + order), delay)
        return self
