"""M4A, MP4, MOV, Matroska and the like through PyAV: tracks decoded, cleaned, encoded, and all else copied."""
