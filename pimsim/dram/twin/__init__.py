"""A channel and its controller in plain Python: the readable model of what `dram.kernel` compiles."""
