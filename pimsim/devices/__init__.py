"""Devices: each says what its commands mean and how it multiplies."""
