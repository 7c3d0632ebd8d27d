"""Streams, buffers and the callback of live sound."""
