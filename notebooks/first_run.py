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
# %config InlineBackend.figure_format = "retina"
import pimsim

# %% [markdown]
# ## Load and run
#
# A configuration is a YAML file, or the name of a shipped one. `with_` makes a changed copy, with the keys of `--set`.
# A wrong key or value raises `pimsim.InputError`, which names it, and says what was meant.

# %%
config = pimsim.load_config("pim-gpt").with_({"workload.model": "gpt2-small", "workload.output_tokens": 32})
result = pimsim.run(config)
result

# %%
print(result)

# %%
try:
    config.with_({"dram.chanels": 4, "workload.model": "gpt2-extra-large"})
except pimsim.InputError as error:
    print(error)

# %% [markdown]
# ## Every figure
#
# `summary` is a dict, the content of `summary.json`. As a table, each figure has its dotted name and its unit; sweeps
# use the same names.

# %%
figures = result.to_frame("summary").set_index("figure")
figures.loc[["system.latency_per_token_ns", "system.energy_per_token_pJ", "baselines.gpu-t4.roofline.speedup"]]

# %% [markdown]
# ## Where the time goes
#
# Every clock of the latency is charged to one cause, so the bars sum to the latency.

# %%
system = result.summary["system"]
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
overlapped = pimsim.run(config.with_(schedule="overlap"))
for schedule, run in (("paper", result), ("overlap", overlapped)):
    figures = run.summary["system"]
    print(
        f"{schedule:8s} {figures['latency_per_token_ns'] / 1e3:6.2f} us per token, "
        f"{100 * figures['non_vmm_fraction']:.2f} % of it ASIC arithmetic, {figures['commands']['MACAB']:,} MACAB"
    )
assert overlapped.summary["system"]["cycles"] <= result.summary["system"]["cycles"]
assert overlapped.summary["system"]["commands"]["MACAB"] == system["commands"]["MACAB"]
