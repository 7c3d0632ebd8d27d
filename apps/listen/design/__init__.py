"""What a listening test consists of: settings, stimuli, the order of pages."""
