"""A live session: what runs, watches, meters and records."""
