"""Runs: what one needs is made once, then it is simulated; of one device, or of several that share a model."""
