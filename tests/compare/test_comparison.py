"""Groups, baselines, metrics and teachers of a comparison."""

import json
from pathlib import Path

import pytest

from distill_perception.compare.comparison import compare
from distill_perception.compare.errors import CompareError
from tests.compare.runs import write_replay, write_run, write_seeds, write_staged


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Labels only 0.70, 0.72; distilled 0.71, 0.75."""
    write_seeds(tmp_path, "labels", [0.70, 0.72])
    write_seeds(tmp_path, "kl", [0.71, 0.75], losses=[{"name": "kl"}])
    return tmp_path


def test_seeds_are_one_row_with_mean_and_spread(root: Path) -> None:
    found = compare([root])
    assert [group.name for group in found.groups] == ["kl", "labels"]  # best first
    first = found.groups[0].spread("miou/camvid")
    assert first is not None
    # 0.71 and 0.75: mean 0.73, deviations 0.02 each: sd root(2 * 0.0004 / 1) = 0.0282843
    assert (first.mean, first.n) == (pytest.approx(0.73), 2)
    assert first.sd == pytest.approx(0.0282843, abs=1e-6)


@pytest.mark.parametrize("name", ["labels", "labels_s2", "PATH/labels_s1"])
def test_the_baseline_is_a_group_or_one_of_its_runs_and_comes_first(root: Path, name: str) -> None:
    found = compare([root], name.replace("PATH", str(root)))
    assert [group.name for group in found.groups] == ["labels", "kl"]
    gain = found.difference(found.groups[1], "miou/camvid")
    assert gain is not None
    # 0.71 - 0.70 and 0.75 - 0.72
    assert (gain.mean, gain.sd, gain.pairs) == (pytest.approx(0.02), pytest.approx(0.0141421, abs=1e-6), 2)
    assert found.difference(found.groups[0], "miou/camvid") is None


def test_a_baseline_that_is_not_among_the_runs_is_added(root: Path) -> None:
    found = compare(sorted(root.glob("kl_*")), root / "labels_s1")
    assert [group.name for group in found.groups] == ["labels", "kl"]
    gain = found.difference(found.groups[1], "miou/camvid")
    assert gain is not None
    assert (gain.mean, gain.pairs) == (pytest.approx(0.01), 1)


def test_runs_of_the_same_seed_are_averaged_and_count_once(root: Path) -> None:
    write_run(root / "again" / "kl_s1", 1, {"miou/camvid": 0.73}, losses=[{"name": "kl"}])
    found = compare([root, root / "again"], "labels")
    kl = found.groups[1]
    assert kl.seeds == 2
    assert kl.values("miou/camvid") == {"seed 1": pytest.approx(0.72), "seed 2": 0.75}
    gain = found.difference(kl, "miou/camvid")
    assert gain is not None
    assert (gain.mean, gain.pairs) == (pytest.approx(0.025), 2)


def test_runs_without_a_seed_stand_for_themselves(tmp_path: Path) -> None:
    for name, miou in (("first", 0.7), ("second", 0.8)):
        write_replay(tmp_path / name, miou=miou)
    (group,) = compare([tmp_path]).groups
    found = group.spread("miou")
    assert found is not None
    assert (group.seeds, found.n, found.mean) == (2, 2, pytest.approx(0.75))


def test_a_group_costs_its_runs_mean_time_and_has_the_size_that_one_of_them_tells(tmp_path: Path) -> None:
    engine = "openvino, cpu, fp32"
    write_run(tmp_path / "kl_s1", 1, {"miou": 0.7}, cost={"latency_ms": {engine: 10.0}})
    write_run(tmp_path / "kl_s2", 2, {"miou": 0.7}, cost={"parameters": 7, "latency_ms": {engine: 14.0}})
    write_run(tmp_path / "kl_s3", 3, {"miou": 0.7})
    (group,) = compare([tmp_path]).groups
    assert (group.cost.parameters, group.cost.latency_ms) == (7, {engine: 12.0})


def test_a_run_from_when_the_decoder_had_other_keys_is_of_the_same_recipe(tmp_path: Path) -> None:
    earlier = {"decoder": None, "decoder_width": 96, "decoder_dense": True, "decoder_detail": 0}
    now = {"decoder": {"name": "fpn", "width": 96, "dense": True, "detail": 0}}
    write_run(tmp_path / "kl_s1", 1, {"miou/camvid": 0.7}, name="kl", model=earlier)
    write_run(tmp_path / "kl_s2", 2, {"miou/camvid": 0.72}, name="kl", model=now)
    assert [(group.name, group.seeds) for group in compare([tmp_path]).groups] == [("kl", 2)]


def test_recipes_of_the_same_name_are_told_apart_by_what_differs(tmp_path: Path) -> None:
    for weight in (1.0, 3.0):
        for seed in (1, 2):
            folder = tmp_path / f"w{weight:g}" / f"kl_s{seed}"
            write_run(folder, seed, {"miou/camvid": 0.7}, losses=[{"name": "kl", "weight": weight}])
    found = compare([tmp_path / "w1", tmp_path / "w3"])
    assert {group.name for group in found.groups} == {
        "kl [distillation.0.weight=1.0]",
        "kl [distillation.0.weight=3.0]",
    }
    assert [group.seeds for group in found.groups] == [2, 2]


@pytest.mark.parametrize(("count", "ending"), [(3, "c=1]"), (4, "c=1, ...]")])
def test_at_most_three_differences_are_named(tmp_path: Path, count: int, ending: str) -> None:
    for value in (1, 2):
        differing = dict.fromkeys("abcd"[:count], value)
        write_run(tmp_path / f"{value}", 1, {"miou": 0.7}, name="kl", **differing)
    assert compare([tmp_path]).groups[0].name == f"kl [a=1, b=1, {ending}"


def test_where_a_staged_run_goes_on_from_itself_tells_nothing(tmp_path: Path) -> None:
    for weight in (1.0, 3.0):
        write_staged(tmp_path / f"w{weight:g}", "kl", [0.7], losses=[{"name": "kl", "weight": weight}])
    found = compare([tmp_path / "w1", tmp_path / "w3"])
    assert {group.name for group in found.groups} == {
        "kl [distillation.0.weight=1.0]",
        "kl [distillation.0.weight=3.0]",
    }


def test_staged_runs_of_several_seeds_are_one_row_with_paired_differences(tmp_path: Path) -> None:
    write_staged(tmp_path, "labels", [0.70, 0.72])
    write_staged(tmp_path, "kl", [0.71, 0.75], losses=[{"name": "kl"}])
    found = compare([tmp_path], "labels")
    assert [(group.name, group.seeds) for group in found.groups] == [("labels", 2), ("kl", 2)]
    gain = found.difference(found.groups[1], "miou/camvid")
    assert gain is not None
    assert (gain.mean, gain.pairs) == (pytest.approx(0.02), 2)


def test_seeds_that_learn_from_one_run_of_seed_1_are_one_row(tmp_path: Path) -> None:
    teacher = {"run": "runs/best_s1"}
    write_staged(tmp_path, "kl", [0.70, 0.71, 0.72], teacher=teacher, losses=[{"name": "kl"}])
    write_staged(tmp_path, "labels", [0.68, 0.69, 0.70])
    found = compare([tmp_path], "labels")
    assert [(group.name, group.seeds) for group in found.groups] == [("labels", 3), ("kl", 3)]


def test_teachers_of_one_name_in_several_runs_are_averaged(tmp_path: Path) -> None:
    def assistant(seed: int) -> Path:
        return tmp_path / f"kl_s{seed}" / "stages" / "assistant"

    write_staged(tmp_path, "kl", [0.7, 0.7], teacher=lambda seed: {"run": str(assistant(seed))})
    write_run(assistant(1), 1, {"miou/camvid": 0.8})
    write_run(assistant(2), 2, {"miou/camvid": 0.9})
    (group,) = compare([tmp_path]).groups
    assert group.teacher is not None
    assert (group.teacher.name, group.teacher.metrics) == ("assistant", {"miou/camvid": pytest.approx(0.85)})


def test_default_metrics_are_all_but_those_by_class_and_patterns_choose(root: Path) -> None:
    assert compare([root]).metrics == ("miou/camvid",)
    assert compare([root], None, ["iou/camvid/*", "miou/*"]).metrics == ("iou/camvid/sky", "miou/camvid")


def test_less_is_better_for_calibration_error(tmp_path: Path) -> None:
    for name, value in (("a", 0.05), ("b", 0.02)):
        write_run(tmp_path / name, 1, {f"{of}/camvid": value for of in ("ece", "teacher_kl", "miou")})
    assert [group.name for group in compare([tmp_path], None, ["ece/*"]).groups] == ["b", "a"]
    assert [group.name for group in compare([tmp_path], None, ["teacher_kl/*"]).groups] == ["b", "a"]
    assert [group.name for group in compare([tmp_path], None, ["miou/*"]).groups] == ["a", "b"]


def test_what_lacks_the_first_metric_comes_last(tmp_path: Path) -> None:
    write_run(tmp_path / "a", 1, {"map50": 0.9})
    write_run(tmp_path / "b", 1, {"miou": 0.7})
    assert [group.name for group in compare([tmp_path], None, ["miou", "map50"]).groups] == ["b", "a"]


def test_teachers_of_several_names_are_counted_and_averaged_in_what_all_have(tmp_path: Path) -> None:
    for seed, metrics in ((1, {"miou": 0.8, "map50": 0.4}), (2, {"miou": 0.9})):
        write_run(tmp_path / f"big_s{seed}", seed, metrics)
        write_run(tmp_path / f"kl_s{seed}", seed, {"miou": 0.7}, teacher={"run": f"big_s{seed}"})
    (group,) = compare(sorted(tmp_path.glob("kl*"))).groups
    assert group.teacher is not None
    assert (group.teacher.name, group.teacher.metrics) == ("2 teachers", {"miou": pytest.approx(0.85)})


@pytest.mark.parametrize("named", ["runs/teacher", "teacher", "elsewhere/runs/teacher"])
def test_the_teachers_score_is_read_from_the_run_that_the_recipe_names(tmp_path: Path, named: str) -> None:
    runs = tmp_path / "runs"
    write_run(runs / "teacher", 1, {"miou/camvid": 0.8})
    student = write_run(runs / "kl", 1, {"miou/camvid": 0.76}, teacher={"run": named})
    found = compare([student])
    assert found.groups[0].teacher is not None
    assert found.groups[0].teacher.metrics == {"miou/camvid": 0.8}
    assert found.share_of_teacher(found.groups[0]) == pytest.approx(0.95)


def test_a_teacher_scored_as_students_hear_it_goes_before_the_run_it_is_made_of(tmp_path: Path) -> None:
    views = {"scales": [1.0, 1.5], "flip": True}
    members = {"ensemble": [{"run": "runs/a", "tta": views}, {"huggingface": "org/segformer", "size": None}]}
    own = {**members, "tta": None, "cache": {"folder": "cache"}}  # as a run folder's recipe has it
    write_run(tmp_path / "kl", 1, {"miou/camvid": 0.72}, teacher=own)
    write_run(tmp_path / "other", 1, {"miou/camvid": 0.72}, teacher={"ensemble": [{"run": "runs/a"}]})
    scored = tmp_path / "teacher"
    scored.mkdir()
    spec = {"ensemble": [{"run": "runs/a", "tta": views}, {"huggingface": "org/segformer"}]}
    (scored / "provenance.json").write_text(json.dumps({"teacher_spec": spec}))
    (scored / "result.json").write_text(json.dumps({"metrics": {"miou/camvid": 0.8}}))
    found = compare([tmp_path])
    shares = {group.name: found.share_of_teacher(group) for group in found.groups}
    assert shares == {"kl": pytest.approx(0.9), "other": None, "teacher": None}
    assert [group.teacher.name for group in found.groups if group.teacher] == ["a + segformer", "a"]


def test_a_teacher_that_is_not_at_hand_is_named_without_a_score(tmp_path: Path) -> None:
    student = write_run(tmp_path / "kl", 1, {"miou/camvid": 0.7}, teacher={"run": "runs/gone"})
    found = compare([student])
    assert found.groups[0].teacher is not None
    assert (found.groups[0].teacher.name, found.share_of_teacher(found.groups[0])) == ("gone", None)


def test_unknown_baselines_and_metrics_are_refused_with_the_nearest_name(root: Path) -> None:
    with pytest.raises(CompareError, match="baseline 'label' is not among the runs; did you mean 'labels'"):
        compare([root], "label")
    with pytest.raises(CompareError, match="no run has the metric 'miou/canvid'; did you mean 'miou/camvid'"):
        compare([root], None, ["miou/canvid"])


def test_a_name_of_several_runs_is_no_baseline(root: Path) -> None:
    write_run(root / "more" / "kl_s1", 1, {"miou/camvid": 0.5}, losses=[{"name": "cwd"}])
    with pytest.raises(CompareError, match="not among the runs"):
        compare([root, root / "more"], "kl_s1")


def test_nothing_finished_is_refused_and_says_why(tmp_path: Path) -> None:
    write_run(tmp_path / "a", 1, None)
    with pytest.raises(CompareError, match=r"none of the 1 runs can be compared:\n.*a: unfinished"):
        compare([tmp_path])
