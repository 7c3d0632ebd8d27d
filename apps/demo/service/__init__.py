"""The demo's work for its pages: denoising, sessions, downloads, live streams."""
