"""Checks and measurements: `--setup`, `--measure`, and a comparison of callback and worker thread."""
