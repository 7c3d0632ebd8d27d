"""`python -m emulator.evidence.autoencoder`: the paper's autoencoder experiment."""
