"""Screen, keyboard and log of `mpeace live`."""
