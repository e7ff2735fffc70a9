"""Making a trained student smaller and faster: quantization."""
