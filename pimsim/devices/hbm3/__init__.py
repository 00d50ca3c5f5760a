"""Plain HBM3: reads and writes."""

from pimsim.devices.device import Hardware
from pimsim.devices.hbm3.table import STANDARD

HARDWARE = Hardware(STANDARD)
