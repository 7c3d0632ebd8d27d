"""The runtime: an exported network in ONNX Runtime, in streams of any rate. Never imports PyTorch."""
