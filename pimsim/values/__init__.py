"""Values: the commands that `sim` times, carried out on real weights."""
