"""Errors, interruption, the environment. Stands on nothing else here."""
