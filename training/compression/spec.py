"""The compress recipe: a finished run, and the steps that make it smaller, one after the other.

run: runs/camvid_students/distilled_s1
engine: openvino
steps:
  - {do: channels, latency: 0.7, importance: taylor}
  - {do: finetune, epochs: 8, lr: 5.0e-4}
  - {do: quantize, calibrator: mse}
  - {do: qat, epochs: 2, lr: 1.0e-5}

Each step goes on with the network of the step before, but for `quantize`, `qat` and `cluster`, which end in a
form that is not trained further: the step after them goes on with the network before them. An iterative
schedule is `channels` (or `sparsify`) and `finetune` several times.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from distill_perception.manifest import NAME
from distill_perception.strict import StrictModel
from training.data.source_spec import AnySource
from training.data.spec import DataSpec
from training.distillation.spec import LossEntries
from training.recipe import read_spec
from training.teachers.spec import TeacherSpec


class QuantizeSpec(StrictModel):
    """How a graph becomes INT8. The formulas are in training/compression/uniform.py."""

    calibrator: Literal["max", "percentile", "entropy", "mse"] = Field(
        "max", description="how the range of an activation follows from what calibration frames show"
    )
    frames: int = Field(64, ge=1, description="calibration frames, spread evenly over the source")
    source: AnySource | None = Field(
        None, description="calibrate on this, a bag for example; train frames else"
    )
    activations: Literal["asymmetric", "symmetric"] = Field(
        "asymmetric",
        description="uint8 with a zero point, or int8 without one: what TensorRT takes, slow on ONNX Runtime",
    )
    float_layers: tuple[str, ...] = Field(
        (), description="layers to leave in FP32 in any case, by name or pattern: detection_head.*"
    )
    max_float_layers: int = Field(
        0, ge=0, description="leave up to so many more in FP32, the fewest that keep both tasks in budget"
    )


class ChannelStep(StrictModel):
    """Cut channels until the engine is fast enough."""

    do: Literal["channels"]
    latency: float = Field(gt=0, lt=1, description="measured on the engine, as a share of that before")
    macs: float = Field(
        1.0,
        gt=0,
        le=1,
        description="share of multiply-accumulates that may be left; alike on every machine, unlike latency",
    )
    precision: Literal["fp32", "int8", "fp16"] = Field(
        "fp32",
        description="the form whose latency is measured; int8 is made of each cut for that alone, of all its "
        "layers and calibrated on a frame",
    )
    importance: Literal["magnitude", "taylor", "bn_scale"] = Field(
        "magnitude",
        description="which channels go first: of the smallest weights, the smallest effect on the loss "
        "(by gradients), or the smallest batch norm scale",
    )
    layers: Literal["uniform", "sensitivity"] = Field(
        "uniform",
        description="the same share of every layer, or more of those that are cheap for the latency saved",
    )
    multiple: int = Field(8, ge=1, description="channels that are left are a multiple of this")
    max_ratio: float = Field(0.75, gt=0, lt=1, description="of a layer's channels that may go, where uniform")
    frames: int = Field(32, ge=1, description="for gradients (taylor) and for each score of the scan")


class TakeStep(StrictModel):
    """Go on with another finished run: a network that was cut elsewhere."""

    do: Literal["take"]
    run: Path = Field(description="its folder")


class SparsityStep(StrictModel):
    """Set single weights to zero."""

    do: Literal["sparsify"]
    pattern: Literal["global", "layer", "2:4"] = Field(
        "global",
        description="one threshold for the network, one a layer, or two of every four (for TensorRT's sparse "
        "kernels)",
    )
    share: float = Field(0.5, gt=0, lt=1, description="of the weights that are left; 2:4 is always half")


class TrainingStep(StrictModel):
    """Train on, with the run's recipe and teacher; keys as in a stage of a training recipe."""

    epochs: int = Field(ge=1, description="passes over the training frames")
    lr: float | None = Field(None, gt=0, description="learning rate; the run's if left out")
    optimizer: dict[str, Any] = Field({}, description="other keys of the recipe's optimizer section")
    augment: dict[str, Any] = Field({}, description="keys of data.augment")
    loss: dict[str, Any] = Field({}, description="keys of the losses on labels")


class FinetuneStep(TrainingStep):
    """Train on."""

    do: Literal["finetune"]
    share: float = Field(
        1.0,
        gt=0,
        le=1,
        description="how far the weights go from those before to those after training; 0.5, their mean, "
        "can have most of what each of them sees",
    )


class QatStep(TrainingStep):
    """Train on with INT8 simulated, then quantize with the ranges that training has seen."""

    do: Literal["qat"]
    quantize: QuantizeSpec = Field(QuantizeSpec(), description="keys of the step `quantize`")


class QuantizeStep(QuantizeSpec):
    """Quantize without training."""

    do: Literal["quantize"]


class ClusterStep(StrictModel):
    """Share weights by k-means and write the Deep Compression archive."""

    do: Literal["cluster"]
    bits: int = Field(8, ge=1, le=8, description="2^bits different values a layer")


Step = Annotated[
    TakeStep | ChannelStep | SparsityStep | FinetuneStep | QatStep | QuantizeStep | ClusterStep,
    Field(discriminator="do"),
]


class CompressRecipe(StrictModel):
    """A whole compression."""

    name: str = Field(pattern=NAME, description="the bundle's")
    run: Path = Field(description="folder of the finished run to start from")
    engine: str = Field("openvino", description="whose latency decides: openvino, onnxruntime or tensorrt")
    device: str = Field(
        "cpu", description="where it runs; cuda or cuda:1 for tensorrt, on this machine's GPU"
    )
    threads: int = Field(0, ge=0, description="CPU threads of the engines; 0 leaves their choice")
    rounds: int = Field(30, ge=1, description="frames that each latency in the table is the median of")
    teacher: TeacherSpec | None = Field(
        None, description="stays in the loop of every training; the run's if left out"
    )
    distillation: LossEntries | None = Field(None, description="the run's if left out")
    data: DataSpec | None = Field(None, description="the run's if left out")
    max_miou_drop: float = Field(1.0, ge=0, description="points of mIoU that may be lost")
    max_map50_drop: float | None = Field(
        None, ge=0, description="points of mAP50 that may be lost; as many as of mIoU if left out"
    )
    latency_ms: float | None = Field(
        None, gt=0, description="ms a frame to reach; if left out, the fastest in budget is taken"
    )
    steps: list[Step] = Field(min_length=1, description="one after the other")

    @field_validator("device")
    @classmethod
    def _lower(cls, device: str) -> str:
        return device.lower()  # people write `CPU`, as OpenVINO does

    @property
    def target(self) -> str:
        """What decides, in words, and its column in the table."""
        return self.engine if self.device == "cpu" else f"{self.engine} on {self.device}"


def load_compress_recipe(path: Path) -> CompressRecipe:
    """Read and check a compress recipe.

    Raises:
        TrainingError: file missing, not UTF-8, not YAML, or a key or value that is not known, named with its
            place.
    """
    return read_spec(path, CompressRecipe)
