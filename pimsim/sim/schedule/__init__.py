"""When an instruction may start, how it streams, and how its results land, for `paper` and `overlap`.

`readable` says it in plain Python; `executor` runs it, with the channels of `dram.engine`, by
what is in `compiled`.  `tests/agreement` compares the two on random graphs.
"""
