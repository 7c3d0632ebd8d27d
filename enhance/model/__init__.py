"""The network in PyTorch and as an ONNX graph. Knows nothing of data, losses and training."""
