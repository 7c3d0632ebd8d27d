"""Spectrograms and level plots of the demo, as PNG."""
