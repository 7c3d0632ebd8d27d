"""What users run: an exported network by ONNX Runtime, in streams of any rate. Never imports PyTorch."""
