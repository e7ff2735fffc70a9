"""Draws docs/overlay.jpg: rendered frames, and over them what the shipped student sees in them.

python scripts/picture.py [--bundle camvid_lite0] [--out docs/overlay.jpg]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from distill_perception.bundle import load_bundle
from distill_perception.engines import EngineSettings, open_engine
from distill_perception.perceptor import Frame, Perceptor
from distill_perception.vision.overlay import draw_overlay
from training.data.synthetic.render import render_drive
from training.data.synthetic.settings import DriveSettings

ROOT = Path(__file__).resolve().parents[1]
SIZE = {"width": 640, "height": 480}
# Weather and seed; no street that the student learnt from
STREETS = (("clear", 903), ("rain", 911), ("dusk", 919))


def main() -> None:
    """Render one frame of each street and set the student's answer below it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bundle", default="camvid_lite0")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "overlay.jpg")
    options = parser.parse_args()
    bundle = load_bundle(options.bundle)
    perceptor = Perceptor(bundle, open_engine(bundle, "auto", EngineSettings()))
    columns = []
    for weather, seed in STREETS:
        (frame,) = render_drive(DriveSettings(1, seed, weather=weather, **SIZE))
        seen = perceptor.perceive([Frame(frame.image)])[0]
        rgb = np.ascontiguousarray(frame.image[..., ::-1])
        drawn = draw_overlay(rgb, bundle.manifest.classes, seen.mask, seen.detections)
        columns.append(np.vstack([frame.image, drawn[..., ::-1]]))
    perceptor.close()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(options.out), np.hstack(columns), [cv2.IMWRITE_JPEG_QUALITY, 85]):
        parser.error(f"cannot write {options.out}")


if __name__ == "__main__":
    main()
