# ---
# jupyter:
#   jupytext:
#     formats: py:percent,ipynb
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A first run
#
# GPT2-small decodes 32 tokens on PIM-GPT. Each step is simulated DRAM command by DRAM command.
# Run the cells from top to bottom, or the whole file as a script:
#
#     MPLBACKEND=Agg .venv/bin/python notebooks/first_run.py

# %%
from pathlib import Path

import pimsim

ROOT = next(
    folder
    for folder in (Path.cwd(), *Path.cwd().parents, *Path(globals().get("__file__", ".")).resolve().parents)
    if (folder / "configs" / "pim-gpt.yaml").exists()
)
CONFIG = ROOT / "configs" / "pim-gpt.yaml"

# %% [markdown]
# ## Load and run
#
# A configuration is a YAML file. Overrides have the same form as after `--set`. A wrong key or value raises
# `pimsim.InputError`, which names the line.

# %%
SMALL = {"workload.model": "gpt2-small", "workload.output_tokens": 32}
config = pimsim.load_config(CONFIG, SMALL)
result = pimsim.run(config)
result

# %%
system = result.summary["system"]
print(f"latency   {system['latency_per_token_ns'] / 1e3:.1f} us per token")
print(f"energy    {system['energy_per_token_pJ'] / 1e9:.3f} mJ per token")
print(f"row hits  {100 * system['row_hit_rate']:.2f} %")
for name, baseline in result.summary["baselines"].items():
    eager, roofline = baseline["speedup"], baseline["roofline"]["speedup"]
    print(f"{name}: {eager:.0f} times slower in eager mode, {roofline:.1f} times at its roofline")

# %% [markdown]
# ## Where the time goes
#
# Every clock of the latency is charged to one cause, so the bars sum to the latency.

# %%
total_ns = sum(system["latency_breakdown_ns"].values())
assert abs(total_ns - system["latency_ns"]) < 1e-6 * total_ns
result.plot.latency_breakdown()

# %% [markdown]
# ## Latency against the context
#
# A longer context means more K and V columns to multiply. V gains a column every 16 tokens.
# A step in which a refresh falls takes longer.

# %%
result.plot.latency_vs_context()

# %%
tokens = result.records("tokens")
for token in tokens[::8]:
    print(f"context {token['context']:3d}: {token['latency_ns'] / 1e3:.2f} us")

# %% [markdown]
# ## Overlap
#
# Under the schedule `paper`, an instruction starts when the ASIC and all channels are idle. Under `overlap`, it
# starts when the instructions it waits for are done. The commands that multiply are the same; only their times move.

# %%
overlapped = pimsim.run(pimsim.load_config(CONFIG, {**SMALL, "schedule": "overlap"}))
for schedule, run in (("paper", result), ("overlap", overlapped)):
    figures = run.summary["system"]
    print(
        f"{schedule:8s} {figures['latency_per_token_ns'] / 1e3:6.2f} us per token, "
        f"{100 * figures['non_vmm_fraction']:.2f} % of it ASIC arithmetic, {figures['commands']['MACAB']:,} MACAB"
    )
assert overlapped.summary["system"]["cycles"] <= result.summary["system"]["cycles"]
assert overlapped.summary["system"]["commands"]["MACAB"] == system["commands"]["MACAB"]
