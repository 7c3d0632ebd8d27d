"""Denoising inside the browser: what the page needs for it, and the page as a folder that needs no server of ours."""
