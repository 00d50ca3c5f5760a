"""How well an input is known: the labels of configurations, energy tables, baselines and ranges."""

from __future__ import annotations

from collections.abc import Mapping

# From best to worst known.
MEANINGS: Mapping[str, str] = {
    "paper": "read in the paper's abstract, or in a passage that quotes the paper",
    "recalled": "widely repeated for this paper, not seen in a quotation; may be corrected",
    "adjacent": "from a related simulator or part, not from the paper",
    "derived": "arithmetic on the figures above",
    "inferred": "chosen because it meets a published figure, for which it then is no evidence",
    "assumed": "nothing is known; the choice that seems most plausible",
}
LABELS = tuple(MEANINGS)
