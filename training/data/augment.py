"""Training augmentation, by albumentations: geometry on frame and mask together, light on the frame alone."""

from __future__ import annotations

import albumentations as A

from training.data.sample import VOID_ID


def training_transform(crop: tuple[int, int], scale: tuple[float, float], seed: int) -> A.Compose:
    """Random scale, crop (padded with void), flip, light and blur; call with image= and mask=."""
    height, width = crop
    return A.Compose(
        [
            A.RandomScale(scale_limit=(scale[0] - 1, scale[1] - 1), p=1.0),
            A.PadIfNeeded(height, width, position="random", fill=127, fill_mask=VOID_ID),
            A.RandomCrop(height, width),
            A.HorizontalFlip(p=0.5),
            A.ColorJitter(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.04, p=0.8),
            A.OneOf([A.GaussianBlur((3, 5)), A.GaussNoise((0.01, 0.05))], p=0.2),
        ],
        seed=seed,
    )
