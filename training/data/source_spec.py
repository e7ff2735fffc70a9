"""What a recipe says about a source of frames: one class a format."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from distill_perception.strict import StrictModel, did_you_mean
from training.home import PlaceOrName


class SourceSpec(StrictModel):
    """What every source has."""

    name: str = Field(description="short name, used in metrics: miou/<name>")
    path: Path = Field(description="the folder, or the bag")
    repeat: int = Field(1, ge=1, description="how many times an epoch sees this source")
    every: int = Field(1, ge=1, description="take every n-th frame only; of a bag, of each camera")
    use_masks: bool = Field(True, description="false hides the masks, as if the frames had none")
    use_boxes: bool = Field(True, description="false hides the boxes")
    classes: dict[str, str | None] = Field(
        {},
        description="class of the source: class of the student, or null to drop it; overrules the tables",
    )


class FolderSpec(SourceSpec):
    """images/NAME.jpg|png with labels/NAME.png (class ids), boxes.json (COCO) or both; the renderer's too."""

    format: Literal["folder"] = "folder"
    class_set: PlaceOrName | None = Field(
        None, description="name or file of the class set; null: the folder's classes.json, else camvid"
    )


class ImagesSpec(SourceSpec):
    """Pictures without labels, in a folder and those below it: for pseudo-labels."""

    format: Literal["images"] = "images"


class CamvidSpec(SourceSpec):
    """CamVid as published, 960x720: 701_StillsRaw_full/ and LabeledApproved_full/."""

    format: Literal["camvid"] = "camvid"
    split: Path | None = Field(
        None, description="text file with a frame's name on each line; null: all frames"
    )
    unknown_colors: Literal["error", "void"] = Field("error", description="label colours that are no class")


class CityscapesSpec(SourceSpec):
    """Cityscapes: leftImg8bit/ and gtFine/."""

    format: Literal["cityscapes"] = "cityscapes"
    split: str = Field("train", description="train, val or test (which has no labels)")


class Bdd100kSpec(SourceSpec):
    """BDD100K: images/100k or images/10k, and labels/."""

    format: Literal["bdd100k"] = "bdd100k"
    split: str = Field("train", description="train, val or test (which has no labels)")
    mask: Literal["semantic", "drivable", "lane", "none"] = Field(
        "none", description="which masks to read; semantic ones belong to the 10k images, others to the 100k"
    )


class KittiObjectSpec(SourceSpec):
    """KITTI object detection: training/image_2 and training/label_2."""

    format: Literal["kitti_object"] = "kitti_object"
    part: Literal["training", "testing"] = Field("training", description="testing has no labels")
    split: Path | None = Field(
        None, description="text file with a frame's number on each line; null: all frames"
    )


class KittiSemanticSpec(SourceSpec):
    """KITTI semantic: training/image_2, training/semantic and, for boxes, training/instance."""

    format: Literal["kitti_semantic"] = "kitti_semantic"
    part: Literal["training", "testing"] = Field("training", description="testing has no labels")
    split: Path | None = Field(
        None, description="text file with a frame's name on each line; null: all frames"
    )


class CocoSpec(SourceSpec):
    """A folder of pictures (`path`) and a COCO annotation file; its categories are known by their names."""

    format: Literal["coco"] = "coco"
    annotations: Path = Field(description="the JSON file")
    class_set: PlaceOrName = Field("coco", description="name or file of the class set")
    masks: bool = Field(
        False, description="draw the annotations' outlines (polygons, RLE) as masks, the largest first"
    )
    rest: str | None = Field(
        None, description="class of the pixels that no outline covers, for masks; null: void"
    )

    @model_validator(mode="after")
    def _rest_is_of_masks(self) -> CocoSpec:
        if self.rest is not None and not self.masks:
            raise ValueError("rest says nothing without masks: true")
        return self


class BagSpec(SourceSpec):
    """A rosbag2; labels and boxes, where it has any, lie beside the image topic with the image's stamp."""

    format: Literal["bag"] = "bag"
    topics: tuple[str, ...] = Field((), description="image topics; empty: one for each camera")
    class_set: PlaceOrName = Field("camvid", description="name or file of the class set of the labels")


_SPECS: tuple[type[SourceSpec], ...] = (
    FolderSpec,
    ImagesSpec,
    CamvidSpec,
    CityscapesSpec,
    Bdd100kSpec,
    KittiObjectSpec,
    KittiSemanticSpec,
    CocoSpec,
    BagSpec,
)
FORMATS: dict[str, type[SourceSpec]] = {spec.model_fields["format"].default: spec for spec in _SPECS}


def _with_known_format(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    name = value.get("format", "folder")
    if name not in FORMATS:
        raise ValueError(f"unknown format '{name}' ({did_you_mean(name, FORMATS)})")
    return {**value, "format": name}


AnySource = Annotated[
    Annotated[
        FolderSpec
        | ImagesSpec
        | CamvidSpec
        | CityscapesSpec
        | Bdd100kSpec
        | KittiObjectSpec
        | KittiSemanticSpec
        | CocoSpec
        | BagSpec,
        Field(discriminator="format"),
    ],
    BeforeValidator(_with_known_format),
]


def frames_at(path: Path) -> BagSpec | ImagesSpec:
    """A bag (folder or file), or a folder of pictures and those below it, for its frames alone."""
    files = {file.suffix for file in (path, *path.glob("*"))}
    kind = BagSpec if files.intersection((".mcap", ".db3")) else ImagesSpec
    return kind(name=path.name, path=path, use_masks=False, use_boxes=False)
