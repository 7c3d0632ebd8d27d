"""The design of a listening test: settings, stimuli, the order of pages."""
