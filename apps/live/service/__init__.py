"""Live sound all day without a terminal: started with the desktop, waiting for its devices, asked for its state."""
