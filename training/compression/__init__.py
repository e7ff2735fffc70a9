"""Making a trained student smaller and faster: pruning, quantization, and an archive of its weights."""
