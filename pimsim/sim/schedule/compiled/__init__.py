"""The schedule, compiled together with the channels that it calls (`dram.kernel`), so that Python calls once a part.

layout    what stands where in the vectors
calendar  the clocks that a part of the ASIC is taken
asic      work on whole operands, and on results as they arrive
meter     the window in which most is spent
block     instructions one after the other
"""
