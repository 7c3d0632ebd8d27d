"""What an emulator learns from, and its loss."""
