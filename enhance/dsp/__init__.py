"""Signal processing in NumPy: rates, resampling, bands. Never imports PyTorch."""
