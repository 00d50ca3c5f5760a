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
# # What helps a GPU, and what helps memory that computes
#
# A GPU that decodes is bound by reading weights: whatever lets one read serve several tokens helps it. A bank that
# multiplies reads its rows at the pace at which it multiplies: it is helped by what leaves work out. Each study
# here runs both, and says in one sentence what came out. No figure below is typed in.
#
#     MPLBACKEND=Agg .venv/bin/python notebooks/what_helps.py

# %%
from pimsim.reproduce.decoding.found import reproduce
from pimsim.reproduce.decoding.pictures import draw, draw_mechanisms

found = reproduce(workers=1, intervals=False)
answers = {answer.study.name: answer for answer in found.answers}


def show(name: str) -> None:
    """The answer of a study, and its picture."""
    print(answers[name].sentence)
    draw(answers[name])


# %% [markdown]
# ## Tokens verified at once
#
# A step of the model checks several drafted tokens together. The weights are read once for all of them by a GPU, and
# multiplied with each of them in turn by a bank.

# %%
show("query")

# %% [markdown]
# ## Drafts of a small model

# %%
show("speculation")

# %% [markdown]
# ## Sequences, and experts
#
# Several sequences are several tokens again. Where a router chooses among experts, more sequences also read more
# weights, and the GPU loses what it had gained.

# %%
show("batch")

# %% [markdown]
# ## The prefix of an image
#
# A prompt is many tokens at once for a GPU, and one after another for a bank.

# %%
show("prefix")

# %% [markdown]
# ## Heads that stream
#
# From here on work is left out: of K and V, of layers.

# %%
show("retrieval")

# %%
show("layers")

# %% [markdown]
# ## Hypotheses
#
# Beams are sequences. Superposed drafts are one: their embeddings are added up before the first layer.

# %%
show("hypotheses")

# %% [markdown]
# ## States

# %%
show("states")

# %% [markdown]
# ## Every mechanism
#
# Times as fast as without, for each kept token; the commands are in `docs/decoding.md`.

# %%
for gain in found.gains:
    print(f"{gain.row.mechanism:<18}{gain.gains['pim-gpt']:>7.2f}{gain.gains['gpu-h100']:>8.2f}")
draw_mechanisms(found)

# %% [markdown]
# What amortises weights helps the GPU, what removes work helps memory that computes.
