"""The parameter table, without a node."""

from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from distill_perception.errors import ConfigError
from distill_perception.ros.parameters import (
    BY_NAME,
    PARAMETERS,
    Settings,
    changed,
    descriptor_of,
    parameter_table,
    problem_with,
    refusal,
    settings_from,
)

DEFAULTS = {spec.name: spec.default for spec in PARAMETERS}


def test_every_parameter_is_a_setting_and_every_setting_a_parameter() -> None:
    assert [field.name for field in fields(Settings)] == [spec.name for spec in PARAMETERS]


def test_defaults_are_valid_and_read_with_their_types() -> None:
    settings = settings_from(DEFAULTS)
    for spec in PARAMETERS:
        assert problem_with(spec, spec.default) is None
        assert type(getattr(settings, spec.name)) is type(spec.default)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("score_threshold", 1.5, "0 to 1"),
        ("score_threshold", float("nan"), "0 to 1"),
        ("score_threshold", "high", "of type float"),
        ("max_age_ms", -1.0, "0 to 600000"),
        ("max_age_ms", True, "of type float"),
        ("mask_resolution", "huge", "one of camera, model"),
        ("qos_reliability", "", "one of best_effort"),
        ("qos_depth", 0, "1 to 100"),
        ("qos_depth", 3.0, "of type int"),
        ("threads", True, "of type int"),
        ("cameras", "/a/image", "list of strings"),
        ("cameras", [1], "list of strings"),
        ("autostart", 1, "of type bool"),
        ("bundle", None, "is empty: give it a value of type string"),
    ],
)
def test_unusable_values_are_named_with_what_would_do(name: str, value: object, said: str) -> None:
    problem = problem_with(BY_NAME[name], value)
    assert problem is not None
    assert f"'{name}'" in problem
    assert said in problem
    with pytest.raises(ConfigError, match=f"'{name}'"):
        settings_from({**DEFAULTS, name: value})


def test_all_problems_are_reported_at_once() -> None:
    with pytest.raises(ConfigError, match=r"'qos_depth'.*; .*'score_threshold'"):
        settings_from({**DEFAULTS, "score_threshold": 7.0, "qos_depth": -1})


def test_whole_numbers_pass_for_floats() -> None:
    settings = settings_from({**DEFAULTS, "max_age_ms": 200})
    assert settings.max_age_ms == 200.0
    assert isinstance(settings.max_age_ms, float)


def test_while_configured_only_run_time_parameters_may_change() -> None:
    values = {"max_age_ms": 50.0, "score_threshold": 0.9, "mask_resolution": "model"}
    for spec in PARAMETERS:
        value = values.get(spec.name, spec.default)
        assert refusal(spec.name, value, configured=False) is None
        reason = refusal(spec.name, value, configured=True)
        assert (reason is None) == (spec.name in values)
        if reason:
            assert "deactivate and clean it up first" in reason
    assert "0 to 1" in (refusal("score_threshold", 2.0, configured=True) or "")


def test_foreign_parameters_are_not_judged() -> None:
    assert refusal("use_sim_time", True, configured=True) is None


def test_changes_make_new_settings() -> None:
    before = settings_from(DEFAULTS)
    after = changed(before, {"score_threshold": 1, "use_sim_time": True})
    assert (before.score_threshold, after.score_threshold) == (0.3, 1.0)
    assert after.bundle == before.bundle


def test_descriptors_hold_the_ranges() -> None:
    assert descriptor_of(BY_NAME["score_threshold"]).floating_point_range[0].to_value == 1.0
    depth = descriptor_of(BY_NAME["qos_depth"]).integer_range[0]
    assert (depth.from_value, depth.to_value, depth.step) == (1, 100, 1)
    assert "camera, model" in descriptor_of(BY_NAME["mask_resolution"]).additional_constraints


def test_the_table_for_the_readme_has_a_row_for_each_parameter() -> None:
    rows = parameter_table().splitlines()
    assert len(rows) == 2 + len(PARAMETERS)
    assert all(row.count("|") == rows[0].count("|") for row in rows)
    assert all(f"`{spec.name}`" in row for spec, row in zip(PARAMETERS, rows[2:], strict=True))


def test_the_shipped_parameter_file_is_complete_and_says_the_defaults() -> None:
    file = Path(__file__).parents[2] / "config" / "perception.yaml"
    values = yaml.safe_load(file.read_text())["/**/perception"]["ros__parameters"]
    assert settings_from({"autostart": True, **values}) == settings_from(DEFAULTS)
