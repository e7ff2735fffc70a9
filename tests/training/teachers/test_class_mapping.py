"""Teachers' classes meet the student's by names, through tables, and else with an error that helps."""

import pytest
import torch

from training.data.class_sets import CLASS_SETS
from training.errors import TrainingError
from training.teachers.class_mapping import ClassMapping, map_classes
from training.teachers.class_names import spellings
from training.teachers.log_probs import LOG_ZERO

CAMVID = CLASS_SETS["camvid"]
# Some of ADE20K's 150 classes as its checkpoints spell them.
ADE = ("wall", "building", "sky", "tree", "road", "person", "sidewalk", "car", "fence", "signboard", "pole")


def groups(mapping: ClassMapping, teacher: tuple[str, ...]) -> dict[str, set[str]]:
    pairs = zip(CAMVID.names, mapping.channels, strict=True)
    return {name: {teacher[channel] for channel in channels} for name, channels in pairs}


def test_equal_names_and_synonyms_are_found() -> None:
    found = groups(map_classes(ADE, CAMVID, {"bicyclist": []}, "m"), ADE)
    assert found["pavement"] == {"sidewalk"}
    assert found["pedestrian"] == {"person"}
    assert found["sign_symbol"] == {"signboard"}
    assert found["building"] == {"building"}
    assert found["bicyclist"] == set()


def test_spellings_of_the_public_sets_are_understood() -> None:
    assert "tree" in spellings("tree-merged")
    assert "sky" in spellings("sky-other-merged")
    assert "sidewalk" in spellings("sidewalk, pavement")
    assert "traffic sign" in spellings("Traffic_Sign")
    assert not spellings("rider") & spellings("person")


def test_a_known_class_set_goes_through_the_tables_between_class_sets() -> None:
    cityscapes = CLASS_SETS["cityscapes"].names
    found = groups(map_classes(cityscapes, CAMVID, {}, "m"), cityscapes)
    assert found["tree"] == {"vegetation", "terrain"}
    assert found["sign_symbol"] == {"traffic sign", "traffic light"}
    assert set().union(*found.values()) == set(cityscapes)


def test_every_usual_spelling_of_cocos_classes_goes_through_its_table() -> None:
    names = CLASS_SETS["coco"].names
    other = {
        "motorcycle": "motorbike", "airplane": "aeroplane", "couch": "sofa", "tv": "tvmonitor",
        "dining table": "diningtable", "potted plant": "pottedplant",
    }  # fmt: skip
    assert set(other) < set(names)
    rest = iter(names)
    # Of 0 to 90, as in DETR's checkpoints
    unused = {0, 12, 26, 29, 30, 45, 66, 68, 69, 71, 83}
    lists = [
        names,
        tuple(other.get(name, name) for name in names),
        tuple("N/A" if number in unused else next(rest) for number in range(91)),
    ]
    assert next(rest, None) is None
    for teacher in lists:
        mapped = map_classes(teacher, CAMVID, {"bicyclist": []}, "m", things=True)
        assert [{teacher[channel] for channel in group} for group in mapped.channels] == [
            {"car", "bus", "train", "truck"}, {"person"}, set()
        ]  # fmt: skip


def test_the_same_classes_in_another_order_are_reordered() -> None:
    shuffled = tuple(reversed(CAMVID.names))
    assert map_classes(shuffled, CAMVID, {}, "m").channels == tuple((10 - index,) for index in range(11))


def test_unmapped_student_classes_are_listed_with_near_misses() -> None:
    teacher = (*ADE, "bicyclists")
    with pytest.raises(TrainingError) as caught:
        map_classes(teacher, CAMVID, {"car": ["car"]}, "teacher.mapping")
    text = str(caught.value)
    assert "no class of the teacher is called bicyclist (did you mean 'bicyclists'?)" in text
    assert "`bicyclist: []` if it does not know it" in text


def test_names_that_do_not_exist_are_refused_on_both_sides() -> None:
    with pytest.raises(TrainingError, match=r"the student has no class 'pavment' .did you mean 'pavement'"):
        map_classes(ADE, CAMVID, {"pavment": ["sidewalk"]}, "m")
    with pytest.raises(TrainingError, match=r"m.car: the teacher has no class 'cars' .did you mean 'car'"):
        map_classes(ADE, CAMVID, {"car": ["cars"]}, "m")


def test_one_teacher_class_cannot_be_two_student_classes() -> None:
    with pytest.raises(TrainingError, match="'person' is claimed by both 'pedestrian' and 'bicyclist'"):
        map_classes(ADE, CAMVID, {"bicyclist": ["person"]}, "m")


def test_log_probabilities_are_summed_as_probabilities() -> None:
    teacher = torch.tensor([0.5, 0.2, 0.2, 0.1]).log().view(1, 4, 1, 1)
    found = ClassMapping(((0,), (1, 3), ())).log_probs(teacher).flatten()
    torch.testing.assert_close(found, torch.tensor([0.5, 0.3, 0.0]).log().clamp(min=LOG_ZERO))
