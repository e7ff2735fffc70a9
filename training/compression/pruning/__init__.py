"""Pruning: what is cut (`channels`, `masks`), what matters (`importance`), how much (`plans`, `latency`)."""
