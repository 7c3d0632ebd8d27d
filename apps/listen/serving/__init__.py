"""The pages of a listening test, its sounds and its answers."""
