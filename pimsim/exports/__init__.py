"""What other simulators read of a run: tables of latencies, programs of AiM instructions, traces of commands."""
