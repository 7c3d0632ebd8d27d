"""Samples through pipes: raw, and as WAV without seeking."""
