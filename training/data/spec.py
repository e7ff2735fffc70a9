"""What a recipe says about data: class set, sources, augmentation, caching."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, Field, model_validator

from distill_perception.strict import StrictModel
from training.data.source_spec import AnySource
from training.home import PlaceOrName

Probability = Annotated[float, Field(ge=0, le=1)]
Pixels = Annotated[int, Field(ge=1)]
Side = Annotated[int, Field(ge=8)]  # OpenCV cannot resize what is but a few pixels, nor is there much to see
Pair = TypeVar("Pair", tuple[int, int], tuple[float, float])


def _smallest_first(pair: Pair) -> Pair:
    if pair[0] > pair[1]:
        raise ValueError(f"{list(pair)}: the smaller number comes first, [{pair[1]}, {pair[0]}]")
    return pair


Counts = Annotated[tuple[Pixels, Pixels], AfterValidator(_smallest_first)]
Share = Annotated[float, Field(gt=0, le=1)]
Shares = Annotated[tuple[Share, Share], AfterValidator(_smallest_first)]
Factor = Annotated[float, Field(gt=0)]
Factors = Annotated[tuple[Factor, Factor], AfterValidator(_smallest_first)]


class CutoutSpec(StrictModel):
    """Grey rectangles, void in the mask (DeVries, Taylor: Cutout, 2017)."""

    probability: Probability = Field(0.5, description="of a frame's getting any")
    holes: Counts = Field((1, 4), description="fewest, most")
    size: Shares = Field((0.05, 0.15), description="smallest, largest side over the crop's side")


class CopyPasteSpec(StrictModel):
    """Things and parts of rare classes from other frames (Ghiasi et al.: Simple copy-paste, CVPR 2021)."""

    classes: tuple[str, ...] = Field(min_length=1, description="names in the student's class set")
    probability: Probability = Field(0.5, description="of a frame's getting any")
    most: int = Field(3, ge=1, description="at most so many pieces from one other frame")
    min_pixels: Pixels = Field(40, description="leave smaller pieces out")
    tries: int = Field(4, ge=1, description="how many other frames to look through for such classes")


class AugmentSpec(StrictModel):
    """Random changes to training frames. The defaults are scale, crop, flip, colour, blur and noise."""

    crop: tuple[Pixels, Pixels] = Field((320, 416), description="training crop: height, width in pixels")
    scale: Factors = Field((0.5, 2.0), description="random resize before the crop")
    flip: Probability = Field(0.5, description="probability of mirroring")
    color: Probability = Field(0.8, description="probability of a change of brightness, contrast, colour")
    color_strength: float = Field(0.4, ge=0, le=1, description="of brightness, contrast and saturation")
    hue: float = Field(0.04, ge=0, le=0.5, description="largest shift, as a share of the colour circle")
    blur: Probability = Field(0.2, description="probability of blur or noise")
    weather: Probability = Field(0.0, description="probability of mild rain, fog, sun flare or shadow")
    cutout: CutoutSpec | None = None
    copy_paste: CopyPasteSpec | None = None
    min_box: float = Field(3.0, ge=0, description="drop boxes with a side of fewer pixels")
    min_visible: Probability = Field(0.2, description="drop boxes that a crop leaves a smaller share of")


class CacheSpec(StrictModel):
    """Where decoded and resized frames are kept."""

    memory_mb: int = Field(4096, ge=0, description="frames that fit are decoded once at the start; 0: none")
    folder: Path | None = Field(None, description="folder for decoded frames on disk, shared between runs")


class DataSpec(StrictModel):
    """Where frames come from and how they are augmented."""

    class_set: PlaceOrName = Field(
        "camvid",
        description="the student's classes: camvid, camvid32, cityscapes, bdd100k, bdd100k_drivable, "
        "bdd100k_lane, kitti, coco, or a .json or .yaml file with `classes` (id, name, color, kind) and "
        "`void_id`, as in a bundle's manifest",
    )
    train: list[AnySource] = Field(min_length=1, description="where training frames come from")
    val: list[AnySource] = Field(
        min_length=1, description="the first is the one whose metrics the run is known by"
    )
    size: tuple[Side, Side] = Field((360, 480), description="height, width that frames are brought to first")
    resize: Literal["stretch", "letterbox"] = Field(
        "letterbox", description="letterbox keeps proportions, the border is void; the vehicle does the same"
    )
    augment: AugmentSpec = AugmentSpec()
    cache: CacheSpec = CacheSpec()
    workers: int = Field(1, ge=0, description="processes that load frames; 0: the training itself does")

    @model_validator(mode="after")
    def _names_are_unique(self) -> DataSpec:
        for sources in (self.train, self.val):
            names = [source.name for source in sources]
            twice = {name for name in names if names.count(name) > 1}
            if twice:
                raise ValueError(f"two sources are named '{min(twice)}': give each a name of its own")
        return self
