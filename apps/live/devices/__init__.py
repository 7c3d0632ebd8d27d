"""Microphones, outputs and virtual devices."""
