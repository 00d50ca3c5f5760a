"""What the plots of a run show, in numbers: plain data, apart from whoever draws it.

Units are those of the summary (ns, pJ); who draws chooses readable ones.  Making the data
needs a result; the data itself is small, knows nothing of the simulation, and can be pickled.
"""
