"""Measurements of live sound: latency, devices, the set-up check."""
