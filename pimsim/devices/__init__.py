"""Devices: each says what its commands mean and how it multiplies.

pimsim.devices()  # a row for each
"""

from pimsim.called import called_as

called_as("pimsim.catalogue:devices", __name__)
