"""The offline half: from a teacher and labelled frames to a bundle."""

import os

# albumentations asks PyPI for its newest version whenever it is imported, unless told not to.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
