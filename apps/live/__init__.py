"""`mpeace live`: microphone in, clean voice out. See `apps/live/README.md` for how the parts fit together."""
