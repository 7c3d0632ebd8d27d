"""Errors, interruption, facts about the machine. Imports nothing else of mpeace."""
