"""The MP3 codec as a differentiable function: its training and the loss made of it."""
