"""Does the exported graph say what the trained network says? Asked on real frames, engine by engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from distill_perception.bundle import Bundle
from distill_perception.engines import Engine, EngineSettings, open_engine
from distill_perception.vision.boxes import iou_matrix
from training.errors import GateError, TrainingError
from training.export.forms import Form, as_run
from training.export.graph import DeployedNet
from training.export.layers import conv_nodes
from training.export.parting import logit_differences, torch_logits
from training.export.torch_engine import TorchEngine

MIN_AGREEMENT = 0.999
MAX_CONFIDENCE_STEPS = 3
# A detection is the same one if class, score and place are.
MIN_SCORE, MAX_SCORE_DIFFERENCE, MIN_IOU = 0.1, 0.02, 0.95
MIN_BOX_AGREEMENT = 0.98
# A hardly trained detector's scores are all alike: rounding orders them, otherwise in every engine.
TIED_SCORES, BEST = 1e-3, 10
HARDLY_TRAINED = "the scores are tied: the detector has hardly learnt; train longer"
MAX_LOGIT_DIFFERENCE = 0.01  # moves a probability by a quarter of a percent; rounding alone makes 1e-4

Answer = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Parity:
    """How one engine, or form of a bundle, compares with torch over the frames; None for what does not show.

    Attributes:
        max_logit_difference: in the logits' own unit, nats; of both tasks' together, as their mean.
        tied: the scores of torch's best detections hardly differ in any frame.
    """

    engine: str
    frames: int
    mask_agreement: float | None = None
    max_confidence_difference: int | None = None
    box_agreement: float | None = None
    max_logit_difference: float | None = None
    mean_logit_difference: float | None = None
    tied: bool = False

    @property
    def summary(self) -> list[str]:
        """A line for each task."""
        lines = []
        if self.mask_agreement is not None:
            lines.append(f"masks agree on {self.mask_agreement:.4%} of pixels")
        if self.box_agreement is not None:
            lines.append(f"{self.box_agreement:.2%} of detections agree")
        if self.max_logit_difference is not None:
            lines.append(
                f"logits differ by {self.mean_logit_difference:.2g}, {self.max_logit_difference:.2g} at most"
            )
        return [f"parity {self.engine:26s} {line}" for line in lines]

    @property
    def problem(self) -> str | None:
        """What is outside the gate's limits; None if nothing is."""
        if self.mask_agreement is not None and self.mask_agreement < MIN_AGREEMENT:
            wanted = f"at least {MIN_AGREEMENT:.1%} wanted"
            return f"agrees with torch on {self.mask_agreement:.4%} of pixels ({wanted})"
        difference = self.max_confidence_difference
        if difference is not None and difference > MAX_CONFIDENCE_STEPS:
            return (
                f"has confidences up to {difference}/255 from torch's (at most {MAX_CONFIDENCE_STEPS} wanted)"
            )
        if self.box_agreement is not None and self.box_agreement < MIN_BOX_AGREEMENT:
            wanted = f"at least {MIN_BOX_AGREEMENT:.0%} wanted"
            why = f"; {HARDLY_TRAINED}" if self.tied else ""
            return f"agrees with torch on {self.box_agreement:.2%} of detections ({wanted}){why}"
        most = self.max_logit_difference
        if most is not None and not most <= MAX_LOGIT_DIFFERENCE:  # NaN is not
            return f"has logits up to {most:.3g} from torch's (at most {MAX_LOGIT_DIFFERENCE} wanted)"
        return None


def measure_parity(
    net: DeployedNet, bundle: Bundle, frames: NDArray[np.uint8], forms: Sequence[Form]
) -> dict[Form, Parity]:
    """Compare forms of a bundle with torch in float32.

    Args:
        frames: uint8 [N,H,W,3] in the bundle's size and channel order.
    """
    expected, logits = _answers(TorchEngine(net, bundle), frames), torch_logits(net, frames)
    nodes = conv_nodes(onnx.load(bundle.model_path("fp32")).graph)
    tensors = {nodes[layer].output[0]: values for layer, values in logits.items()}
    results = {}
    for form in forms:
        with as_run(bundle, form) as (served, run):
            found = compare_answers(form.name, expected, form_answers(served, run, frames))
            if run.device == "cpu":
                most, mean = logit_differences(tensors, served.model_path(run.precision), frames, run.engine)
                found = replace(found, max_logit_difference=most, mean_logit_difference=mean)
        results[form] = found
    return results


def form_answers(bundle: Bundle, form: Form, frames: NDArray[np.uint8]) -> list[Answer]:
    """What a form answers to each of the frames, uint8 [N,H,W,3] in the bundle's size."""
    opened = open_engine(bundle, form.engine, EngineSettings(form.precision, form.device))
    found = _answers(opened, frames)
    opened.close()
    return found


def _answers(engine: Engine, frames: NDArray[np.uint8]) -> list[Answer]:
    return [{name: value.copy() for name, value in engine.infer(frame[None]).items()} for frame in frames]


def compare_answers(engine: str, expected: Sequence[Answer], found: Sequence[Answer]) -> Parity:
    """Compare answers frame by frame; by name of the output, each with a batch of one."""
    pairs = list(zip(expected, found, strict=True))
    masks: float | None = None
    confidence: int | None = None
    boxes: float | None = None
    tied = False
    if "mask" in expected[0]:
        masks = float(np.mean([(a["mask"] == b["mask"]).mean() for a, b in pairs]))
        steps = [np.abs(a["confidence"].astype(int) - b["confidence"].astype(int)).max() for a, b in pairs]
        confidence = int(max(steps))
    if "boxes" in expected[0]:
        same = [share for pair in pairs for share in (_found_again(*pair), _found_again(*pair[::-1]))]
        boxes = float(np.mean(same))
        best = [answer["scores"][0][:BEST] for answer in expected]  # the engines' contract: best first
        tied = all(len(scores) > 1 and np.ptp(scores) <= TIED_SCORES for scores in best)
    return Parity(engine, len(pairs), masks, confidence, boxes, tied=tied)


def _found_again(one: Answer, other: Answer) -> float:
    """Share of one answer's detections that the other has too; 1 if there is none."""
    keep = one["scores"][0] >= MIN_SCORE
    if not keep.any():
        return 1.0
    near = iou_matrix(one["boxes"][0][keep], other["boxes"][0]) >= MIN_IOU
    same = one["labels"][0][keep][:, None] == other["labels"][0][None]
    close = np.abs(one["scores"][0][keep][:, None] - other["scores"][0][None]) <= MAX_SCORE_DIFFERENCE
    return float((near & same & close).any(1).mean())


def require_parity(results: list[Parity], where: Callable[[str], str] = lambda engine: "") -> None:
    """Stop an export whose engines do not agree with torch.

    Args:
        where: given an engine's name, says at which layer it parts from torch.

    Raises:
        GateError: names the engine, by how much it parts from torch, and where.
        TrainingError: there is no engine.
    """
    if not results:
        raise TrainingError("parity: no engine is installed to compare with; pip install onnxruntime")
    for result in results:
        if result.problem is not None:
            text = f"parity: {result.engine} {result.problem}; nothing was written"
            reasons = "; ".join(filter(None, (text, where(result.engine))))
            raise GateError(reasons, precision=result.engine.partition(" ")[0])
