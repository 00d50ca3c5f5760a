"""GDDR6-AiM: its two tables, its instruction programs and their replay, and language models on it."""

from pimsim.devices.aim import table
from pimsim.devices.aim.layouts import layouts
from pimsim.devices.device import Hardware

HARDWARE = Hardware(table.STANDARD, layouts=layouts)
REFERENCE = Hardware(table.REFERENCE)
