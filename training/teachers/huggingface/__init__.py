"""Hugging Face checkpoints as teachers; transformers is imported only when one is opened."""
