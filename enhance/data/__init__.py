"""Recordings, decoded once into a cache, and mixed on the fly into noisy speech."""
