"""Timelines of a run: what each bus, bank and unit did when, as files that viewers open."""
