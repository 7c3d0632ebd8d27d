"""The loss, the training loop, its schedule, and how it is launched."""
