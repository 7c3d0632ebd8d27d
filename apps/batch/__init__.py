"""Many files: finding, planning, workers, report."""
