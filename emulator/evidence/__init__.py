"""Evidence for the emulator and its loss: each module is a command that writes a table, a figure and the raw rows."""
