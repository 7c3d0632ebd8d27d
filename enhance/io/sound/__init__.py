"""Sound files through libsndfile, and what it does not see: where the data ends, chunks, speakers."""
