"""Detection checkpoints say as teachers what transformers' own post-processing says, as boxes and as maps."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from torch import Tensor

tf = pytest.importorskip("transformers", reason="HF teachers NOT TESTED: pip install transformers")

from tests.support.tiny_training import tiny_recipe, write_color_blocks  # noqa: E402
from tests.training.teachers import tiny_checkpoints as tiny  # noqa: E402
from training.data.class_sets import CLASS_SETS  # noqa: E402
from training.errors import TrainingError  # noqa: E402
from training.models.detection.decode import decode_detections  # noqa: E402
from training.setting import open_setting  # noqa: E402
from training.teachers.base import ScoredBoxes  # noqa: E402
from training.teachers.class_mapping import ClassMapping  # noqa: E402
from training.teachers.huggingface.detection import query_boxes  # noqa: E402
from training.teachers.open import open_teacher  # noqa: E402
from training.teachers.sections import open_cached_teacher, read_sections  # noqa: E402
from training.teachers.spec import TeacherSpec  # noqa: E402

CAMVID = CLASS_SETS["camvid"]
NAMES = ("person", "car", "truck", "bicycle", "traffic light")
TABLE = {"car": ["car", "truck"], "bicyclist": []}
HEIGHT, WIDTH = 64, 96
TWO = {"name": "two_branch"}


def images(count: int = 2) -> Tensor:
    torch.manual_seed(1)
    return torch.randint(0, 256, (count, 3, HEIGHT, WIDTH)).float()


def reference(folder: Path, processor: object, threshold: float) -> list[dict[str, Tensor]]:
    """By transformers alone."""
    model = tf.AutoModelForObjectDetection.from_pretrained(folder).eval()
    batch = images().byte().permute(0, 2, 3, 1).numpy()
    inputs = processor(list(batch), return_tensors="pt")  # type: ignore[operator]
    with torch.no_grad():
        out = model(pixel_values=inputs["pixel_values"])
    return processor.post_process_object_detection(  # type: ignore[attr-defined]
        out, threshold=threshold, target_sizes=[(HEIGHT, WIDTH)] * 2
    )


def boxes_by_class(item: ScoredBoxes, channel: int, threshold: float) -> Tensor:
    """Rows of box and score, in order of score."""
    rows = torch.cat([item.boxes, item.scores[:, channel : channel + 1]], 1)
    rows = rows[rows[:, 4] > threshold]
    return rows[rows[:, 4].argsort(descending=True)]


def expected_boxes(found: dict[str, Tensor], names: set[str], threshold: float) -> Tensor:
    chosen = torch.tensor([NAMES[int(label)] in names for label in found["labels"]], dtype=torch.bool)
    limit = torch.tensor([WIDTH, HEIGHT, WIDTH, HEIGHT]).float()
    boxes = found["boxes"][chosen].clamp(min=0).minimum(limit)
    rows = torch.cat([boxes, found["scores"][chosen][:, None]], 1)
    rows = rows[rows[:, 4] > threshold]
    return rows[rows[:, 4].argsort(descending=True)]


@pytest.mark.parametrize("make", [tiny.rt_detr_v2, tiny.d_fine])
def test_sigmoid_detectors_give_the_boxes_of_post_processing(
    make: Callable[..., Path], tmp_path: Path
) -> None:
    folder = make(tmp_path, NAMES)
    wanted = reference(folder, tf.RTDetrImageProcessorPil(size={"height": 64, "width": 96}), 0.3)
    table = {"pedestrian": ["person"], "car": ["car"], "bicyclist": ["bicycle"]}
    spec = TeacherSpec(huggingface=str(folder), mapping=table)
    teacher = open_teacher(spec, CAMVID)
    out = teacher(images())
    assert out.logits is None
    assert teacher.known is None
    assert teacher.known_things is not None
    total = 0
    for ours, theirs in zip(out.boxes, wanted, strict=True):
        # It keeps the 12 best pairs of query and class: compare down to the last of them.
        last = float(theirs["scores"].min()) + 1e-4
        for channel, name in enumerate(("car", "person", "bicycle")):
            expected = expected_boxes(theirs, {name}, last)
            torch.testing.assert_close(boxes_by_class(ours, channel, last), expected, atol=0.01, rtol=1e-3)
            total += len(expected)
    assert total >= 3


def test_softmax_detector_gives_the_boxes_of_post_processing(tmp_path: Path) -> None:
    folder = tiny.detr(tmp_path, NAMES)
    processor = tf.DetrImageProcessorPil(size={"shortest_edge": 64, "longest_edge": 96})
    wanted = reference(folder, processor, 0.3)
    table = {"pedestrian": ["person"], "car": ["car"], "bicyclist": ["bicycle"]}
    out = open_teacher(TeacherSpec(huggingface=str(folder), mapping=table), CAMVID)(images())
    total = 0
    for ours, theirs in zip(out.boxes, wanted, strict=True):
        for channel, name in enumerate(("car", "person", "bicycle")):
            # Above a half a query has one class in both.
            expected = expected_boxes(theirs, {name}, 0.5)
            torch.testing.assert_close(boxes_by_class(ours, channel, 0.5), expected, atol=0.01, rtol=1e-3)
            total += len(expected)
    assert total >= 3


def test_scores_of_merged_classes_add_up_under_softmax_and_compete_under_sigmoids() -> None:
    mapping = ClassMapping(((0, 1), ()))
    boxes = torch.tensor([[[0.5, 0.5, 0.2, 0.4]]])
    softmax = query_boxes(torch.tensor([[[0.3, 0.25, 0.45]]]).log(), boxes, mapping, 2, 100, 200)[0]
    torch.testing.assert_close(softmax.boxes, torch.tensor([[80.0, 30.0, 120.0, 70.0]]))
    torch.testing.assert_close(softmax.scores, torch.tensor([[0.55, 0.0]]))
    sigmoid = query_boxes(torch.tensor([[[0.3, 0.25]]]).logit(), boxes, mapping, 2, 100, 200)[0]
    torch.testing.assert_close(sigmoid.scores, torch.tensor([[0.3, 0.0]]))


def test_maps_are_drawn_from_the_boxes_at_the_students_stride(tmp_path: Path) -> None:
    folder = tiny.rt_detr_v2(tmp_path, NAMES)
    out = open_teacher(TeacherSpec(huggingface=str(folder), mapping=TABLE), CAMVID, stride=2)(images())
    assert out.detection is not None
    assert out.detection.stride == 2
    assert out.detection.heatmap.shape == (2, 3, 32, 48)
    things = torch.tensor([item.id for item in CAMVID.things])
    boxes, scores, labels = decode_detections(out.detection, things, HEIGHT, WIDTH, 1)
    for frame, item in enumerate(out.boxes or []):
        row, channel = divmod(int(item.scores.argmax()), 3)
        torch.testing.assert_close(scores[frame, 0], item.scores[row, channel], atol=1e-3, rtol=0)
        assert labels[frame, 0] == things[channel]
        # Narrow boxes that miss the centre of their cell are the one thing that maps cannot hold.
        assert (boxes[frame, 0] - item.boxes[row]).abs().max() <= 1.0


def test_stuff_in_the_table_of_a_detector_is_refused(tmp_path: Path) -> None:
    folder = tiny.detr(tmp_path, NAMES)
    with pytest.raises(TrainingError, match="the student has no thing class 'road'"):
        open_teacher(TeacherSpec(huggingface=str(folder), mapping={"road": ["car"], **TABLE}), CAMVID)


@pytest.mark.parametrize(
    ("changes", "stride"), [({}, 4), ({"decoder": {"name": "fpn", "detail": 8}}, 4), ({"decoder": TWO}, 8)]
)
def test_fill_and_training_share_a_cache_whatever_the_students_stride(
    tmp_path: Path, changes: dict[str, object], stride: int
) -> None:
    """Boxes are drawn on the student's detection grid, which is that of its decoder but no finer than 4."""
    data = write_color_blocks(tmp_path / "data", 4, 1, True)
    teacher = {
        "huggingface": str(tiny.detr(tmp_path / "detr", NAMES)),
        "mapping": TABLE,
        "cache": {"folder": str(tmp_path / "cache")},
    }
    model = {"pretrained": False, "width_multiplier": 0.25, "tasks": ["segmentation", "detection"], **changes}
    recipe = tiny_recipe(data, data, model=model, teacher=teacher, distillation=[{"name": "heatmap"}])
    place = tmp_path / "recipe.yaml"
    place.write_text(yaml.safe_dump(recipe.model_dump(mode="json")))
    asked = open_cached_teacher(read_sections(place))
    open_setting(recipe)
    assert list((tmp_path / "cache").iterdir()) == [asked.store.folder]
    assert asked.teacher.settings()["stride"] == stride
