"""The network that stands for the codec, its dimensions and its presets."""
