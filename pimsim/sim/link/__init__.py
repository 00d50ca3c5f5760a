"""Links between devices: how long messages and collectives take, what they move, and what it costs.

`link` is what a link can do, `topology` which links a message takes, `program` what devices
send when, `collectives` the usual ones, `carry` runs them in SimPy, and `exchange` says what
came of it.  Nothing here knows a configuration, a memory or a model.  All times are integers.
"""
