"""Losses and the training loop of distillation."""
