"""Bags of a few frames, and what they score."""

from pathlib import Path

import numpy as np

from distill_perception.bags.ground_truth import Boxes
from distill_perception.bags.labelled_folder import LabelledFrame
from distill_perception.bags.mask_spool import MaskSpool
from distill_perception.bags.reader import open_bag
from distill_perception.bags.writer import BagOptions, write_bag
from distill_perception.bundle import load_bundle
from distill_perception.engines import EngineSettings
from distill_perception.replay.evaluation import Evaluation, evaluate
from distill_perception.replay.in_process import perceive_bag
from tests.support import drives


def evaluated(bag: Path, bundle: Path) -> Evaluation:
    opened, loaded = open_bag(bag), load_bundle(bundle)
    with MaskSpool() as masks:
        recording = perceive_bag(opened, loaded, "onnxruntime", EngineSettings(), masks)
        return evaluate(opened, recording, loaded.manifest)


def bag_with(path: Path, names: dict[int, str], label: np.ndarray, seen_in: np.ndarray | None = None) -> Path:
    frame = LabelledFrame("one", drives.picture(0) if seen_in is None else seen_in, label, None)
    write_bag(path, [frame], BagOptions(), names)
    return path


def bag_of_boxes(path: Path, frames: list[tuple[np.ndarray | None, Boxes | None]]) -> Path:
    """A bag of the drive's pictures with these labels and boxes."""
    pictures = (LabelledFrame(str(i), drives.picture(i), *truth) for i, truth in enumerate(frames))
    write_bag(path, pictures)
    return path
