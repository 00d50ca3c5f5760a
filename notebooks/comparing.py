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
# # What changed, and why
#
# Two runs side by side: what differs in their inputs, what that does to the figures, and which causes and operators the
# difference is made of. The command is `pimsim compare`; here the same from Python.

# %%
# %config InlineBackend.figure_format = "retina"
import pimsim

config = pimsim.load_config("pim-gpt").with_({"workload.model": "gpt2-small", "workload.output_tokens": 32})
result = pimsim.run(config)

# %% [markdown]
# ## One change
#
# Twice as many lanes in a MAC unit need columns twice as wide. Both are inputs that differ; everything else is equal,
# and is not listed.

# %%
wide = pimsim.run(config.with_({"pim.lanes": 32, "dram.column_bytes": 64}))
comparison = pimsim.compare([result, wide], names=["16 lanes", "32 lanes"])
print(comparison)

# %% [markdown]
# ## Where the difference comes from
#
# Multiplying takes half the time. Opening rows takes as long as before, so a token gains less than a half. The
# differences of the causes sum to that of the latency, to the clock.

# %%
comparison.plot.latency()

# %%
causes = comparison.to_frame("causes")
causes[["cause", "16 lanes", "32 lanes", "difference 32 lanes"]]

# %% [markdown]
# Which operators gain? Products do, and by how much depends on how long a row is used once it is open.

# %%
comparison.plot.operators()

# %% [markdown]
# ## An earlier run
#
# A folder that `pimsim run --out` or `Result.save` wrote is read back as a result. Nothing is simulated again. Where
# nothing differs, the comparison says so.

# %%
import tempfile
from pathlib import Path

with tempfile.TemporaryDirectory() as folder:
    earlier = pimsim.load_result(result.save(Path(folder) / "results"))
print(repr(earlier))
print(pimsim.compare([earlier, result], names=["earlier", "now"]))

# %% [markdown]
# ## Two memories
#
# `compare` runs configurations, and takes names. Between PIM-GPT and GDDR6-AiM nearly every input differs, so the
# question is what the time goes to: AiM spends a part of it on switching between modes, which PIM-GPT does not have.

# %%
memories = pimsim.compare(
    ["pim-gpt", "aim"], overrides={"workload.model": "gpt2-small", "workload.output_tokens": 32, "baselines": []}
)
memories.to_frame("results")[["what", "unit", "pim-gpt", "aim", "ratio aim"]].head(8)

# %%
causes = memories.to_frame("causes").set_index("cause")
assert causes.loc["mode_switch", "pim-gpt"] == 0 < causes.loc["mode_switch", "aim"]
memories.plot.latency()
