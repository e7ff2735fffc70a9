"""CamVid as published: label pictures in colour, frames chosen by a list."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.training.data.sources.files import blocks, picture, write_rgb
from training.data.class_sets import class_set, mapping
from training.data.source_spec import CamvidSpec
from training.data.sources import open_source
from training.errors import TrainingError

# label_colors.txt
COLORS = {"Sky": (128, 128, 128), "Child": (192, 128, 64), "Sidewalk": (0, 0, 192), "Void": (0, 0, 0)}


@pytest.fixture
def camvid(tmp_path: Path) -> Path:
    colors = np.array(list(COLORS.values()), np.uint8)[blocks(0, 1, 2, 3)]
    for seed, name in enumerate(["0001TP_006690", "Seq05VD_f00000"]):
        write_rgb(tmp_path / "701_StillsRaw_full" / f"{name}.png", picture(seed))
        write_rgb(tmp_path / "LabeledApproved_full" / f"{name}_L.png", colors)
    return tmp_path


def spec(path: Path, **changes: Any) -> CamvidSpec:
    return CamvidSpec(name="c", path=path, **changes)


def test_colours_become_the_32_classes_and_then_the_11(camvid: Path) -> None:
    source = open_source(spec(camvid))
    sample = source[1]
    assert (len(source), source.class_set.name, sample.name) == (2, "camvid32", "Seq05VD_f00000")
    np.testing.assert_array_equal(sample.image, picture(1))
    names = [*source.class_set.names, "Void"]
    assert [names[i] for i in sample.mask[0, ::4]] == list(COLORS)
    assert (sample.has_mask, sample.has_boxes) == (True, False)
    coarse = class_set("camvid")
    grouped = mapping(source.class_set, coarse)[sample.mask][0, ::4]
    assert [[*coarse.names, "void"][i] for i in grouped] == ["sky", "pedestrian", "pavement", "void"]


@pytest.mark.parametrize(
    "line",
    [
        "Seq05VD_f00000",
        "Seq05VD_f00000.png",
        "/SegNet/CamVid/test/Seq05VD_f00000.png /SegNet/testannot/x.png",
    ],
)
def test_frames_are_chosen_by_a_list_in_any_of_the_usual_forms(camvid: Path, line: str) -> None:
    (camvid / "test.txt").write_text(f"{line}\n\n")
    source = open_source(spec(camvid, split=Path("test.txt")))
    assert [source[i].name for i in range(len(source))] == ["Seq05VD_f00000"]


def test_unknown_colours_are_refused_or_left_out(camvid: Path) -> None:
    colors = np.zeros((12, 16, 3), np.uint8)
    colors[3, 5] = 1, 2, 3
    write_rgb(camvid / "LabeledApproved_full" / "0001TP_006690_L.png", colors)
    with pytest.raises(TrainingError, match=r"_L\.png: 1 pixels .*row 3, column 5 with RGB \(1, 2, 3\)"):
        open_source(spec(camvid))[0]
    assert set(open_source(spec(camvid, unknown_colors="void"))[0].mask.ravel()) == {31}


def test_missing_frames_and_labels_are_named(camvid: Path) -> None:
    (camvid / "train.txt").write_text("0001TP_006690\n0001TP_6720\n")
    with pytest.raises(
        TrainingError, match=r"train\.txt, line 2: no frame '0001TP_6720' \(did you mean '0001TP"
    ):
        open_source(spec(camvid, split=Path("train.txt")))
    with pytest.raises(TrainingError, match=r"cannot read split file .*val\.txt: No such file"):
        open_source(spec(camvid, split=Path("val.txt")))
    (camvid / "empty.txt").write_text("\n")
    with pytest.raises(TrainingError, match="names no frame"):
        open_source(spec(camvid, split=camvid / "empty.txt"))
    (camvid / "LabeledApproved_full" / "0001TP_006690_L.png").unlink()
    with pytest.raises(
        TrainingError, match=r"0001TP_006690\.png has no label: expected .*0001TP_006690_L\.png"
    ):
        open_source(spec(camvid))
    with pytest.raises(TrainingError, match=r"701_StillsRaw_full is not a folder"):
        open_source(spec(camvid / "701_StillsRaw_full"))
