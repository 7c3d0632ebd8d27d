"""From answers to tables and plots."""
