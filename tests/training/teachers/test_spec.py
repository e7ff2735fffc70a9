"""The `teacher:` section: what it takes, and what it says about mistakes."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from distill_perception.strict import describe_validation_error
from training.teachers.spec import TeacherSpec, title


def problem(**section: object) -> str:
    with pytest.raises(ValidationError) as caught:
        TeacherSpec.model_validate(section)
    return describe_validation_error(caught.value)


def test_a_run_alone_is_a_teacher_as_before() -> None:
    spec = TeacherSpec.model_validate({"run": "runs/camvid_teacher"})
    assert spec.run == Path("runs/camvid_teacher")
    assert title(spec) == "camvid_teacher"


def test_everything_at_once_survives_a_round_trip_through_plain_values() -> None:
    section = {
        "ensemble": [
            {"run": "runs/a", "weight": 2},
            {
                "huggingface": "nvidia/segformer-b5",
                "size": "image",
                "mapping": {"car": "car", "bicyclist": ["rider", "bicycle"], "pole": []},
                "tta": {"flip": True, "scales": [1.0, 1.5]},
            },
        ],
        "cache": "caches",
    }
    spec = TeacherSpec.model_validate(section)
    assert spec.ensemble is not None
    assert spec.ensemble[1].mapping == {"car": ["car"], "bicyclist": ["rider", "bicycle"], "pole": []}
    assert spec.cache is not None
    assert spec.cache.folder == Path("caches")
    assert title(spec) == "a + nvidia/segformer-b5"
    assert TeacherSpec.model_validate(spec.model_dump(mode="json")) == spec


def test_mistakes_are_named() -> None:
    assert "did you mean 'huggingface'?" in problem(hugingface="x")
    assert "give one of run, huggingface, ensemble; there is none of them" in problem(cache="x")
    assert "there is both run and huggingface" in problem(run="a", huggingface="b")
    assert "size belongs to huggingface" in problem(run="a", size="image")
    assert "needs `size: image`" in problem(huggingface="a", tta={"scales": [1.0, 1.5]})
    assert "scales are positive" in problem(run="a", tta={"scales": [0.0]})
    assert "ensemble.1: give one of run, huggingface" in problem(ensemble=[{"run": "a"}, {"weight": 2}])


def test_what_each_member_of_an_ensemble_has_is_refused_beside_it() -> None:
    members = [{"run": "a"}, {"huggingface": "b"}]
    words = "beside ensemble says nothing: each member of the ensemble has its own"
    assert f"mapping {words}" in problem(ensemble=members, mapping={"car": "truck"})
    assert f"weight {words}" in problem(ensemble=members, weight=2)


def test_scales_of_an_ensemble_need_members_that_see_them() -> None:
    members = [{"run": "a"}, {"huggingface": "b"}]
    tta = {"scales": [1.0, 1.5]}
    assert "needs `size: image` in ensemble.1" in problem(ensemble=members, tta=tta)
    members[1]["size"] = "image"
    assert TeacherSpec.model_validate({"ensemble": members, "tta": tta}).tta is not None
