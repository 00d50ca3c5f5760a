"""Ways of decoding on PIM-GPT and on GPUs: `pimsim reproduce decode`.

`jobs` runs one schedule or one plain decoding, `studies` says which runs a question needs and what it is
measured by, `table` runs every ready-made schedule, `found` holds what came out, `pictures` draws it and
`pages` writes it.  Every figure is read off runs.
"""
