"""Augmentation keeps frame, mask and boxes in step, and depends on the seed alone."""

from __future__ import annotations

import dataclasses

import albumentations as A
import cv2
import numpy as np
import pytest

from training.data.augment import Augmenter
from training.data.augment import _transforms as transforms_of
from training.data.class_sets import class_set
from training.data.fog import Fog
from training.data.sample import Sample
from training.data.sampler import generator
from training.data.spec import AugmentSpec, CopyPasteSpec, CutoutSpec
from training.errors import TrainingError

CAMVID = class_set("camvid")
VOID = CAMVID.void_id
CAR = 8
# x1, y1, x2, y2 of a large, a small and a tiny car.
CARS = np.array([[30, 40, 90, 80], [100, 20, 116, 30], [5, 5, 8, 8]], np.float32)


def street() -> Sample:
    """A frame that tells its own coordinates: red is the column, green the row; cars are blue."""
    image = np.zeros((120, 160, 3), np.uint8)
    image[..., 0], image[..., 1] = np.arange(160), np.arange(120)[:, None]
    mask = np.full((120, 160), 3, np.uint8)
    for x1, y1, x2, y2 in CARS.astype(int):
        image[y1:y2, x1:x2, 2] = 255
        mask[y1:y2, x1:x2] = CAR
    return Sample("street", image, mask, CARS.copy(), np.full(3, CAR, np.int64), has_boxes=True)


def quiet(**changes: object) -> AugmentSpec:
    """Geometry alone."""
    return AugmentSpec.model_validate({"crop": (64, 64), "color": 0.0, "blur": 0.0, **changes})


def no_donor(rng: np.random.Generator) -> Sample:
    raise AssertionError("no frame to copy from is wanted")


def augment(spec: AugmentSpec, number: int, sample: Sample | None = None) -> Sample:
    return Augmenter(spec, CAMVID)(sample or street(), generator(7, 0, number), no_donor)


def test_the_defaults_are_those_that_recipes_rely_on() -> None:
    before = [
        A.RandomScale(scale_limit=(-0.5, 1.0), mask_interpolation=cv2.INTER_NEAREST_EXACT, p=1.0),
        A.PadIfNeeded(320, 416, position="random", fill=114, fill_mask=VOID),
        A.RandomCrop(320, 416),
        A.HorizontalFlip(p=0.5),
        A.ColorJitter(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.04, p=0.8),
        A.OneOf([A.GaussianBlur((3, 5)), A.GaussNoise((0.01, 0.05))], p=0.2),
    ]
    assert list(map(repr, transforms_of(AugmentSpec(), VOID))) == list(map(repr, before))


def test_crops_follow_the_frame_and_boxes_keep_what_is_visible() -> None:
    dropped = 0
    for number in range(60):
        out = augment(quiet(scale=(1.0, 1.0), flip=0.0), number)
        left, top = (int(v) for v in out.image[0, 0, :2])
        np.testing.assert_array_equal(out.image, street().image[top : top + 64, left : left + 64])
        np.testing.assert_array_equal(out.mask, street().mask[top : top + 64, left : left + 64])
        moved = CARS - [left, top, left, top]
        inside = np.clip(moved, 0, 64)
        size, whole = inside[:, 2:] - inside[:, :2], CARS[:, 2:] - CARS[:, :2]
        kept = (size.prod(1) / whole.prod(1) >= 0.2) & (size >= 3).all(1)
        np.testing.assert_allclose(out.boxes, inside[kept], atol=1e-3)
        assert len(out.labels) == kept.sum()
        cut_off = ~kept & (size > 0).all(1)
        np.testing.assert_allclose(out.ignored, inside[cut_off], atol=1e-3)
        assert (out.ignored_labels == CAR).all()
        dropped += int((~kept & (size > 0).all(1)).sum())
    assert dropped > 10  # boxes that were partly visible, and yet too little


@pytest.mark.parametrize("scale", [(0.5, 0.7), (1.3, 2.0)])
def test_boxes_stay_around_their_pixels_at_any_scale_and_side(scale: tuple[float, float]) -> None:
    compared = 0
    big = CARS[:1]
    single = Sample("one", street().image, street().mask, big, np.array([CAR]), has_boxes=True)
    single.mask[:30] = 3  # the other cars are gone
    for number in range(40):
        out = augment(quiet(scale=scale, min_visible=0.0), number, single)
        rows, columns = np.nonzero(out.mask == CAR)
        if len(out.boxes):
            pixels = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            np.testing.assert_allclose(out.boxes[0], pixels, atol=1.01)
            compared += 1
        padded = (out.image == 114).all(-1)
        np.testing.assert_array_equal(out.mask[padded], VOID)
    assert compared > 20


@pytest.mark.parametrize("scale", [0.6, 0.77, 1.3, 1.5, 1.9])
def test_masks_lie_where_their_pictures_do_at_any_scale(scale: float) -> None:
    """By each bar's centre of mass: of a mask that takes each cell's first pixel it is half a pixel off."""
    image, mask = np.zeros((300, 300, 3), np.uint8), np.zeros((300, 300), np.uint8)
    starts = range(7, 280, 23)
    for start in starts:
        image[:, start : start + 11] = 250
        mask[:, start : start + 11] = 1
    size = round(300 * scale)
    spec = quiet(crop=(size, size), scale=(scale, scale), flip=0.0)
    out = augment(spec, 0, Sample("bars", image, mask))
    shifts = []
    for start in starts:
        around = np.arange(int((start - 5) * scale), int((start + 16) * scale))
        seen, labelled = out.image[9, around, 0], out.mask[9, around]
        shifts.append(np.average(around, weights=labelled) - np.average(around, weights=seen))
    assert np.mean(shifts) == pytest.approx(0, abs=0.15)


def test_frames_are_mirrored_with_their_masks_and_boxes() -> None:
    out = augment(quiet(crop=(120, 160), scale=(1.0, 1.0), flip=1.0), 0)
    np.testing.assert_array_equal(out.image, street().image[:, ::-1])
    np.testing.assert_array_equal(out.mask, street().mask[:, ::-1])
    np.testing.assert_allclose(out.boxes[:, [0, 2]], 160 - CARS[:, [2, 0]], atol=1e-3)


def test_labels_stay_with_their_boxes() -> None:
    sample = street()
    mixed = Sample("m", sample.image, sample.mask, CARS, np.array([8, 9, 10]), has_boxes=True)
    for number in range(30):
        out = augment(quiet(scale=(1.0, 1.0), flip=0.0), number, mixed)
        left, top = (int(v) for v in out.image[0, 0, :2])
        for box, label in zip(out.boxes, out.labels, strict=True):
            whole = CARS[label - 8] - [left, top, left, top]
            np.testing.assert_allclose(box, np.clip(whole, 0, 64), atol=1e-3)


def test_ignored_regions_follow_the_frame_as_boxes_do() -> None:
    plain = street()
    both = dataclasses.replace(plain, ignored=plain.boxes, ignored_labels=np.array([8, 9, 10]))
    seen = 0
    for number in range(20):
        out = augment(AugmentSpec(crop=(64, 64)), number, both)
        np.testing.assert_array_equal(out.boxes, augment(AugmentSpec(crop=(64, 64)), number).boxes)
        assert set(out.ignored_labels.tolist()) <= {8, 9, 10}
        for box in out.boxes:
            assert np.abs(out.ignored - box).max(1).min() < 1  # scaled sides are whole pixels
        seen += len(out.boxes)
    assert seen


@pytest.mark.parametrize("flip", [0.0, 1.0])
def test_what_a_crop_leaves_of_an_ignored_region_is_ignored_however_little_it_is(flip: float) -> None:
    """A whole frame in which nobody looked for cyclists is one in every crop."""
    whole = np.array([[0, 0, 160, 120], [0, 0, 40, 120]], np.float32)
    sample = dataclasses.replace(street(), ignored=whole, ignored_labels=np.array([10, 9]))
    narrow = 0
    for number in range(20):
        out = augment(quiet(crop=(32, 48), scale=(1.0, 1.0), flip=flip), number, sample)
        assert out.ignored_labels[0] == 10
        np.testing.assert_array_equal(out.ignored[0], [0, 0, 48, 32])
        # Red tells each pixel's column in the frame: it is in the second region if that is below 40.
        inside = np.flatnonzero(out.image[0, :, 0] < 40)
        if len(inside):
            np.testing.assert_array_equal(out.ignored[1], [inside.min(), 0, inside.max() + 1, 32])
            narrow += len(inside) < 48
        else:
            assert 9 not in out.ignored_labels
    assert narrow


def test_frames_without_boxes_or_masks_pass() -> None:
    sample = street()
    void = np.full_like(sample.mask, VOID)
    out = augment(quiet(), 1, Sample("x", sample.image, void, has_mask=False))
    assert (out.boxes.shape, out.labels.shape, out.has_mask) == ((0, 4), (0,), False)
    assert (out.boxes.dtype, out.labels.dtype) == (np.float32, np.int64)
    assert set(out.mask.ravel()) == {VOID}


@pytest.mark.parametrize("cutout", [None, CutoutSpec(probability=1.0, holes=(2, 2))])
def test_padding_and_holes_of_a_frame_without_a_mask_are_not_its_own(cutout: CutoutSpec | None) -> None:
    image, void = np.full((60, 80, 3), 200, np.uint8), np.full((60, 80), VOID, np.uint8)
    bare = Sample("bare", image, void, has_mask=False)
    bordered = np.ones((60, 80), bool)
    bordered[:, 40:] = False
    spec = quiet(scale=(0.5, 1.3), cutout=cutout)
    shares = []
    for number in range(20):
        out = augment(spec, number, bare)
        np.testing.assert_array_equal(out.inside, out.image[..., 0] == 200)
        assert set(out.mask.ravel()) == {VOID}
        less = augment(spec, number, dataclasses.replace(bare, inside=bordered))
        assert less.inside.sum() < out.inside.sum()
        assert not (less.inside & ~out.inside).any()
        shares.append(out.inside.mean())
    assert min(shares) < 0.6
    assert augment(spec, 0).inside is None  # street() has a mask: void says it


def test_what_is_cut_out_is_grey_and_void_and_hidden_boxes_go() -> None:
    spec = quiet(
        crop=(120, 160),
        scale=(1.0, 1.0),
        flip=0.0,
        cutout=CutoutSpec(probability=1.0, holes=(3, 3), size=(0.3, 0.4)),
    )
    hidden = 0
    for number in range(20):
        out = augment(spec, number)
        hole = (out.image == 114).all(-1)
        assert 36 * 48 <= hole.sum() <= 3 * 48 * 64
        np.testing.assert_array_equal(out.mask, np.where(hole, VOID, street().mask))
        np.testing.assert_array_equal(out.image[~hole], street().image[~hole])
        shares = [1 - hole[y1:y2, x1:x2].mean() for x1, y1, x2, y2 in CARS.astype(int)]
        kept = np.array(shares) >= 0.2
        np.testing.assert_allclose(out.boxes, CARS[kept], atol=1e-3)
        np.testing.assert_allclose(out.ignored, CARS[~kept], atol=1e-3)  # no background either
        hidden += int((~kept).sum())
    assert hidden > 0


def test_weather_changes_the_light_and_nothing_else() -> None:
    plain = quiet(crop=(120, 160), scale=(1.0, 1.0), flip=0.0)
    changed = []
    for number in range(24):
        out = augment(plain.model_copy(update={"weather": 1.0}), number)
        np.testing.assert_array_equal(out.mask, street().mask)
        np.testing.assert_allclose(out.boxes, CARS, atol=1e-3)
        changed.append(np.abs(out.image.astype(int) - street().image).mean())
    assert 1 < np.mean(changed) < 60


def test_fog_follows_koschmieders_law() -> None:
    picture = np.full((101, 4, 3), 40, np.uint8)
    foggy = Fog().apply(picture, clearness=0.9, horizon=0.5, light=200.0)[:, 0, 0]
    through = {
        100: 0.9,
        75: 0.9**2,
        60: 0.9**5,
        50: 0.9**8,
        0: 0.9**8,
    }  # distance: 1 over the depth below 0.5
    for row, t in through.items():
        assert foggy[row] == pytest.approx(40 * t + 200 * (1 - t), abs=0.51)


def test_the_same_seed_gives_the_same_sample_whatever_came_before() -> None:
    spec = AugmentSpec(crop=(64, 64), weather=0.7, cutout=CutoutSpec())
    used = Augmenter(spec, CAMVID)
    for number in range(5):
        used(street(), generator(1, number), no_donor)
    for number in range(5):
        fresh = Augmenter(spec, CAMVID)(street(), generator(7, 3, number), no_donor)
        again = used(street(), generator(7, 3, number), no_donor)
        for name in ("image", "mask", "boxes", "labels"):
            np.testing.assert_array_equal(getattr(fresh, name), getattr(again, name))


def test_changes_are_chosen_independently_of_each_other() -> None:
    # Seeding every transform alike would make a mirrored frame always one of changed colour.
    spec = quiet(crop=(120, 160), scale=(1.0, 1.0), color=0.5, flip=0.5)
    seen = set()
    for number in range(60):
        out = augment(spec, number)
        mirrored = bool((out.mask[:, 0] == out.mask[:, -1]).all() and (out.mask[50, 160 - 40] == CAR))
        seen.add((mirrored, bool((out.image == street().image[:, :: -1 if mirrored else 1]).all())))
    assert len(seen) == 4


def test_a_box_that_a_pasted_piece_hides_is_neither_an_object_nor_background() -> None:
    """The piece is as wide as the picture: wherever it moves, the car in the middle is behind it."""
    poles = np.full((120, 160), 2, np.uint8)
    wall = Sample("wall", np.full((120, 160, 3), 200, np.uint8), poles)
    middle = np.array([[70, 50, 90, 70]], np.float32)
    car = dataclasses.replace(street(), boxes=middle, labels=np.array([CAR]))
    paste = CopyPasteSpec(classes=("pole",), probability=1.0)
    spec = quiet(crop=(120, 160), scale=(1.0, 1.0), flip=0.0, copy_paste=paste)
    for number in range(10):
        out = Augmenter(spec, CAMVID)(car, generator(7, 0, number), lambda _: wall)
        assert (out.mask[50:70, 70:90] == 2).all(), "at least one piece"
        assert len(out.boxes) == 0
        np.testing.assert_allclose(out.ignored, middle)


def test_copy_paste_of_an_unknown_class_is_refused() -> None:
    with pytest.raises(TrainingError, match=r"'camvid' has no class 'bicylist' \(did you mean 'bicyclist'"):
        Augmenter(AugmentSpec(copy_paste=CopyPasteSpec(classes=("bicylist",))), CAMVID)
