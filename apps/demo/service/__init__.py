"""What the demo does for its pages: denoising, sessions, downloads, live streams."""
