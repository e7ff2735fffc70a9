"""The one sample type that every data set is read into."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

VOID_ID = 11


@dataclass(frozen=True)
class Sample:
    """A frame and its label.

    image: uint8 [H,W,3], RGB. mask: uint8 [H,W], class ids, `VOID_ID` where undefined.
    """

    name: str
    image: NDArray[np.uint8]
    mask: NDArray[np.uint8]
