"""A live session: devices that vanish, meters, recordings, what the screen shows."""
