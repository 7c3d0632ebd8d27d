"""Voice agents: the runtime inside LiveKit and Pipecat, each an extra of its own. Never imports PyTorch."""
