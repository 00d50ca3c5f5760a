"""Ways of decoding as traces: schedules of drafts, trees, layers, caches and hypotheses over a model's graph.

`statistics.yaml` has the mechanisms with their papers, defaults and what a trace leaves out, the acceptances
and the trees; `data` reads it.  `source` finds a model, `edit` changes its template, `steps` makes lines of
a schedule.  The builders are `drafts` (a draft model, layers left out), `heads` (heads beside the LM head, a draft of
one layer, an early exit with an adapter), `layers`, `hypotheses` and `caches`.
"""
