"""Datasets and synthetic data. Importing this package is cheap; heavy parts are imported where used."""
