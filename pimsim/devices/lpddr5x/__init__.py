"""Plain LPDDR5X: reads and writes."""

from pimsim.devices.device import Hardware
from pimsim.devices.lpddr5x.table import STANDARD

HARDWARE = Hardware(STANDARD)
