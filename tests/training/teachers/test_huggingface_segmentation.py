"""Segmentation checkpoints say as teachers what transformers' own pre- and post-processing says."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

tf = pytest.importorskip("transformers", reason="HF teachers NOT TESTED: pip install transformers")

from tests.training.teachers import tiny_checkpoints as tiny  # noqa: E402
from tests.training.teachers.fakes import resize  # noqa: E402
from tests.training.teachers.tiny_checkpoints import CITYSCAPES  # noqa: E402
from training.data.class_set import ClassSet  # noqa: E402
from training.data.class_sets import CLASS_SETS  # noqa: E402
from training.errors import TrainingError  # noqa: E402
from training.teachers.huggingface.universal import query_log_probs  # noqa: E402
from training.teachers.log_probs import LOG_ZERO  # noqa: E402
from training.teachers.open import open_teacher  # noqa: E402
from training.teachers.spec import TeacherSpec  # noqa: E402

SET = CLASS_SETS["cityscapes"]
CAMVID = CLASS_SETS["camvid"]


def frames(height: int, width: int, count: int = 2) -> np.ndarray:
    """Smooth colours with a few edges, uint8 [N,H,W,3]."""
    rng = np.random.default_rng(0)
    coarse = torch.from_numpy(rng.integers(0, 256, (count, 3, 5, 7))).float()
    fine = torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic").clamp(0, 255)
    return fine.round().byte().permute(0, 2, 3, 1).numpy()


def as_images(pictures: np.ndarray) -> Tensor:
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float()


def opened(folder: Path, class_set: ClassSet = SET, **changes: object):
    return open_teacher(TeacherSpec.model_validate({"huggingface": str(folder), **changes}), class_set)


def masks_of(logits: Tensor, height: int, width: int) -> Tensor:
    return torch.nn.functional.interpolate(logits, (height, width), mode="bilinear").argmax(1)


def own_processor(folder: Path, **changes: object):
    """SegFormer's, of transformers, whose version 5.20 wants torchvision for it; nothing else here does."""
    try:
        return tf.SegformerImageProcessorPil.from_pretrained(folder, **changes)
    except ImportError as error:
        if "torchvision" not in str(error).lower():
            raise
        pytest.skip(f"LOUD: NOT COMPARED with transformers {tf.__version__}: its processor needs torchvision")


def test_segformer_masks_equal_those_of_transformers_own_processor(tmp_path: Path) -> None:
    folder = tiny.segformer(tmp_path, CITYSCAPES)
    pictures = frames(50, 70)
    processor = own_processor(folder)
    model = tf.AutoModelForSemanticSegmentation.from_pretrained(folder).eval()
    with torch.no_grad():
        raw = model(**processor(list(pictures), return_tensors="pt"))
    expected = torch.stack(processor.post_process_semantic_segmentation(raw, [(50, 70)] * 2))
    out = opened(folder)(as_images(pictures))
    # PIL rounds to whole grey levels after each direction, we do not.
    assert (out.logits - raw.logits.log_softmax(1)).abs().mean() < 0.05
    assert (masks_of(out.logits, 50, 70) == expected).float().mean() > 0.99
    assert len(expected.unique()) > 3
    assert out.detection is None


def test_at_the_frames_own_size_nothing_is_resized_and_outputs_are_exact(tmp_path: Path) -> None:
    folder = tiny.segformer(tmp_path, CITYSCAPES)
    pictures = frames(64, 96)
    processor = own_processor(folder, do_resize=False)
    model = tf.AutoModelForSemanticSegmentation.from_pretrained(folder).eval()
    with torch.no_grad():
        raw = model(**processor(list(pictures), return_tensors="pt")).logits
    found = opened(folder, size="image")(as_images(pictures)).logits
    assert found.shape == (2, 19, 16, 24)
    torch.testing.assert_close(found, raw.log_softmax(1), atol=1e-4, rtol=1e-4)


def test_mobilenet_deeplab_sees_the_whole_frame_without_center_crop(tmp_path: Path) -> None:
    folder = tiny.mobilenet_v2(tmp_path, CITYSCAPES)
    pictures = frames(65, 97)
    processor = tf.MobileNetV2ImageProcessorPil.from_pretrained(folder, do_center_crop=False)
    model = tf.AutoModelForSemanticSegmentation.from_pretrained(folder).eval()
    with torch.no_grad():
        raw = model(**processor(list(pictures), return_tensors="pt")).logits
    found = opened(folder)(as_images(pictures)).logits
    torch.testing.assert_close(found, raw.log_softmax(1), atol=1e-4, rtol=1e-4)


def test_cityscapes_probability_is_summed_into_camvid_classes(tmp_path: Path) -> None:
    folder = tiny.segformer(tmp_path, CITYSCAPES)
    images = as_images(frames(64, 96, 1))
    exact = opened(folder, size="image")(images).logits.exp()[0]
    mapped = opened(folder, CAMVID, size="image")(images).logits.exp()[0]
    groups = {
        "sky": ["sky"],
        "building": ["building", "wall"],
        "pavement": ["sidewalk"],
        "car": ["car", "truck", "bus", "train"],
        "bicyclist": ["rider", "motorcycle", "bicycle"],
    }
    for name, sources in groups.items():
        expected = sum(exact[CITYSCAPES.index(source)] for source in sources)
        torch.testing.assert_close(mapped[CAMVID.id_of(name)], expected, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(mapped.sum(0), torch.ones(16, 24), atol=1e-5, rtol=0)


def test_table_overrides_names_and_unknown_classes_are_floored_and_flagged(tmp_path: Path) -> None:
    folder = tiny.segformer(tmp_path, CITYSCAPES)
    teacher = opened(folder, CAMVID, size="image", mapping={"car": "car", "pole": []})
    logits = teacher(as_images(frames(64, 96, 1))).logits
    pole = CAMVID.id_of("pole")
    assert teacher.known.tolist() == [index != pole for index in range(11)]
    assert (logits[:, pole] == LOG_ZERO).all()
    assert (logits.exp().sum(1) < 1 - 1e-4).all()  # truck, bus, train and pole are nobody's


def test_maskformer_family_equals_post_processing(tmp_path: Path) -> None:
    folder = tiny.mask2former(tmp_path, CITYSCAPES)
    pictures = frames(48, 72)
    processor = tf.Mask2FormerImageProcessorPil.from_pretrained(folder)
    model = tf.AutoModelForUniversalSegmentation.from_pretrained(folder).eval()
    with torch.no_grad():
        raw = model(pixel_values=processor(list(pictures), return_tensors="pt")["pixel_values"])
    found = opened(folder)(as_images(pictures)).logits
    # MaskFormer's form of the same formula stays at the masks' resolution.
    exact = tf.MaskFormerImageProcessorPil().post_process_semantic_segmentation(
        raw, return_segmentation_scores=True
    )
    for ours, item in zip(found.exp(), exact, strict=True):
        scores = item.segmentation_scores
        difference = (ours - scores / scores.sum(0).clamp(min=1)).abs()
        assert difference.mean() < 0.02  # the resized frames differ by rounding
    # Mask2Former's enlarges mask logits to 384x384 before the sigmoid, we log-probabilities after it.
    enlarged = torch.stack(processor.post_process_semantic_segmentation(raw, [(48, 72)] * 2))
    assert (resize(found, 48, 72).argmax(1) == enlarged).float().mean() > 0.9
    assert len(enlarged.unique()) > 1


def test_oneformer_takes_its_task_from_its_own_tokenizer(tmp_path: Path) -> None:
    folder = tiny.oneformer(tmp_path, CITYSCAPES)
    pictures = frames(64, 96)
    processor = tf.OneFormerProcessor(
        image_processor=tf.OneFormerImageProcessorPil(size={"height": 64, "width": 96}),
        tokenizer=tf.CLIPTokenizer.from_pretrained(folder),
    )
    model = tf.AutoModelForUniversalSegmentation.from_pretrained(folder).eval()
    inputs = processor(list(pictures), ["semantic"] * 2, return_tensors="pt")
    with torch.no_grad():
        raw = model(pixel_values=inputs["pixel_values"], task_inputs=inputs["task_inputs"])
    expected = processor.post_process_semantic_segmentation(raw, return_segmentation_scores=True)
    found = opened(folder)(as_images(pictures)).logits.exp()
    for ours, item in zip(found, expected, strict=True):
        scores = item.segmentation_scores
        torch.testing.assert_close(ours, scores / scores.sum(0).clamp(min=1), atol=1e-4, rtol=1e-3)


def test_query_log_probs_by_hand() -> None:
    # Two queries, two classes and "no object"; masks 0.9 and 0.5 at one pixel, 0.1 and 0.2 at the other.
    classes = torch.tensor([[[0.8, 0.1, 0.1], [0.3, 0.6, 0.1]]]).log()
    masks = torch.tensor([[[[0.9, 0.1]], [[0.5, 0.2]]]]).logit()
    found = query_log_probs(classes, masks).exp()[0, :, 0]
    # s = 0.8*0.9 + 0.3*0.5 = 0.87 and 0.1*0.9 + 0.6*0.5 = 0.39: more than one together, normalized by 1.26;
    # 0.8*0.1 + 0.3*0.2 = 0.14 and 0.1*0.1 + 0.6*0.2 = 0.13: no query claims the pixel, 0.73 stays missing.
    torch.testing.assert_close(found, torch.tensor([[0.87 / 1.26, 0.14], [0.39 / 1.26, 0.13]]))


def test_checkpoint_for_another_task_is_refused_by_name(tmp_path: Path) -> None:
    config = tf.SegformerConfig(
        depths=[1] * 4, hidden_sizes=[8] * 4, num_attention_heads=[1] * 4, decoder_hidden_size=8
    )
    tiny.save(tf.SegformerForImageClassification(config), tmp_path, {"size": 64})
    with pytest.raises(TrainingError, match="SegformerForImageClassification, no segmentation"):
        opened(tmp_path)
    with pytest.raises(TrainingError, match=r"no weights for decode_head.* was not trained for semantic"):
        opened(tmp_path, task="semantic")


def test_class_ids_that_are_no_channels_are_named(tmp_path: Path) -> None:
    config = tiny.segformer(tmp_path, ("road", "car")) / "config.json"
    content = json.loads(config.read_text())
    content["id2label"], content["label2id"] = {"1": "road", "2": "car"}, {"road": 1, "car": 2}
    config.write_text(json.dumps(content))
    with pytest.raises(TrainingError, match=r"id2label .* names the 2 ids 1, 2, .* 2 channels has 0 to 1"):
        opened(tmp_path)


def test_missing_folder_and_unreachable_hub_id_are_one_line_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(TrainingError, match="is not a folder"):
        opened(tmp_path / "nowhere")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(TrainingError, match=r"teacher.huggingface: nobody/nothing: .*hub id") as caught:
        opened("nobody/nothing")  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
