"""Networks to learn from: runs trained here, Hugging Face checkpoints, ensembles; cache and pseudo-labels."""
