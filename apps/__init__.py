"""The programs: everything behind the `mpeace` command. Nothing here imports PyTorch; `--help` imports no NumPy."""
