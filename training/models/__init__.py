"""Networks: encoders, decoders and the segmenter built from a recipe's `model` section."""
