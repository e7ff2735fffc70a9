"""From a trained run to a bundle: deployment graph, ONNX file, parity, manifest."""
