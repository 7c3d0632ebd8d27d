"""Quality and speed: metrics, pairs of files, hard cases, other systems."""
