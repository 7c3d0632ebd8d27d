"""What people run: the `mpeace` command line. Nothing here imports PyTorch, and `--help` imports no array library."""
