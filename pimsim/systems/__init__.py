"""Several equal devices that share a model: which part each runs, how long they take together, and their counts.

`shares` says what each device runs, `wiring` what the links between them take, `together` puts the runs of all of
them into one account.  A device is simulated once for all that do the same.
"""
