"""Plain GDDR6: reads and writes."""

from pimsim.devices.device import Hardware
from pimsim.devices.gddr6.table import STANDARD

HARDWARE = Hardware(STANDARD)
