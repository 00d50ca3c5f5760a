"""The machine: a memory of BF16 words, and who carries out commands on them, one by one."""
