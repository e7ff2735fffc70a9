"""Networks: encoders, decoders, heads and what is built of them from a recipe's `model` section."""
