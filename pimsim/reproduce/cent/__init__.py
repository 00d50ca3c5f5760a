"""CENT's public simulator, reproduced: `pimsim reproduce cent`.

CENT decodes Llama 2 on CXL devices that hold GDDR6-AiM. `models` has the models and how they are
split, `regions` where a block keeps what, `programs` (of `lines`) what its devices run, `forms` the cycles
of products in closed form, `cycles` those of whole programs by replay, `times` and `energy` what a token takes.
`rows` reads what is asked, `published` the table, `found` puts both side by side, `pages` writes it.
"""
