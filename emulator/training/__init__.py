"""The sounds that an emulator learns from, and its loss."""
