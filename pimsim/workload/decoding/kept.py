"""What a verification keeps, for so many drafts."""

from __future__ import annotations

from fractions import Fraction

from pimsim.errors import InputError
from pimsim.workload.decoding.data import ALL, Mechanism, Statistic, acceptance
from pimsim.workload.trace.records import Acceptance


def kept(mechanism: Mechanism, given: str | None, drafts: int) -> Statistic:
    """The acceptance that is given, or the mechanism's; InputError if it says more than `drafts` drafts allow.

    given: a name, a mean, chances with commas, or "all".  Of chances those of the first `drafts` count.
    """
    if given == ALL:
        return Statistic(ALL, Acceptance(Fraction(drafts + 1)), "assumed", "every draft is kept")
    found = acceptance(mechanism["acceptance"] if given is None else given)
    positions = found.acceptance.positions
    if positions and len(positions) < drafts:
        message = f"{found.name} says how often {len(positions)} drafts are kept, not {drafts}"
        raise InputError(f"{message}: use as many drafts, or another acceptance", key="--acceptance")
    if positions:
        return Statistic(found.name, Acceptance.of(positions[:drafts]), found.label, found.source)
    if found.acceptance.mean > drafts + 1:
        most = f"{drafts} drafts and the token of the model itself"
        message = f"{found.name} keeps {float(found.acceptance.mean):g} tokens a step, more than {most}"
        raise InputError(f"{message}: draft more, or use another acceptance", key="--acceptance")
    return found


def note(statistic: Statistic) -> str:
    """An acceptance for the header of a trace."""
    mean = f"{float(statistic.acceptance.mean):g} tokens a step"
    return f"{statistic.name}: {mean} ({statistic.label}: {statistic.source})"
