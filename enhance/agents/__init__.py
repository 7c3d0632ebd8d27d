"""mpeace inside the programs that voice agents are built with: `livekit` and `pipecat`, each an extra of its own."""
