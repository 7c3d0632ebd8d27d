"""Full scale of 16-bit samples, for recordings in caches and for codecs."""

FULL_SCALE = 32_768  # steps in 1.0: a power of two, as decoders assume, so that the level is kept exactly
LARGEST = FULL_SCALE - 1  # steps: 16 bits end one below 1.0
