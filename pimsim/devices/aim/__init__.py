"""GDDR6-AiM: its two tables, its instruction programs, and their replay."""

from pimsim.devices.aim import table
from pimsim.devices.device import Hardware

HARDWARE = Hardware(table.STANDARD)
REFERENCE = Hardware(table.REFERENCE)
