"""The published figures of PIM-GPT beside the simulated ones, with what is not known of the inputs.

`published` and `inputs` read the data, `runs` simulates, `values` turns a run into the
figures' ingredients, `figures` says what each figure is, `uncertainty` finds the interval
that the inputs' ranges give and which input moves it most, `curves` and `crosscheck` hold
the rest of the command, `report` and `pictures` what people look at.
"""
