"""Sound and video files, in and out. Never imports PyTorch."""
