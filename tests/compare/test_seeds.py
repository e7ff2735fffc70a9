"""Recipes that differ only in their seed."""

import pytest

from distill_perception.compare.seeds import differ_in_seed_only, flatten, without_seed


@pytest.mark.parametrize(
    ("text", "seed", "expected"),
    [
        ("kl_s3", 3, "kl"),
        ("kl-seed3", 3, "kl"),
        ("kl_seed_12", 12, "kl"),
        ("kl.s3", 3, "kl"),
        ("kl_s3", 1, "kl_s3"),  # another number is not this run's seed
        ("kl_s3", None, "kl"),
        ("camvid_lite0", 0, "camvid_lite0"),
        ("classes3", 3, "classes3"),
        ("_s3", 3, "_s3"),  # nothing would be left
    ],
)
def test_the_seed_at_the_end_of_a_name_is_taken_off(text: str, seed: int | None, expected: str) -> None:
    assert without_seed(text, seed) == expected


def test_recipes_that_differ_in_seed_name_and_paths_to_sibling_runs_are_the_same() -> None:
    recipes = [
        {"name": f"kl_s{seed}", "seed": seed, "model": {"init": f"runs/labels_s{seed}"}, "lr": 0.1}
        for seed in (1, 2)
    ]
    assert differ_in_seed_only(*recipes)
    assert not differ_in_seed_only(recipes[0], recipes[0] | {"lr": 0.2})
    assert not differ_in_seed_only(recipes[0], recipes[0] | {"name": "cwd_s1"})
    assert not differ_in_seed_only(recipes[0], {key: recipes[1][key] for key in ("name", "seed", "lr")})
    other_start = recipes[1] | {"model": {"init": "runs/labels_s3"}}
    assert not differ_in_seed_only(recipes[0], other_start)


def test_what_all_seeds_start_from_or_learn_from_may_have_a_seed_in_its_name_too() -> None:
    recipes = [
        {
            "name": f"kl_s{seed}",
            "seed": seed,
            "model": {"init": f"runs/kl_s{seed}/stages/coarse"},
            "teacher": {"run": "runs/best_s1"},
        }
        for seed in (1, 2, 3)
    ]
    assert differ_in_seed_only(recipes[0], recipes[1])
    assert differ_in_seed_only(recipes[1], recipes[2])
    assert not differ_in_seed_only(recipes[1], recipes[2] | {"teacher": {"run": "runs/best_s2"}})
    assert not differ_in_seed_only({"name": "a_s1", "seed": 1}, {"name": "a_s1", "seed": 2})


def test_the_seed_is_taken_off_within_paths_to_stages_too() -> None:
    first, second = (
        {
            "name": f"kl_s{seed}",
            "seed": seed,
            "model": {"init": f"/data/runs/kl_s{seed}/stages/coarse"},
            "teacher": {"run": f"runs/kl_s{seed}/stages/assistant"},
        }
        for seed in (1, 2)
    )
    assert differ_in_seed_only(first, second)
    assert not differ_in_seed_only(
        {"seed": 1, "init": "kl_s1/stages/a"}, {"seed": 1, "init": "a_s1/stages/a"}
    )


def test_precision_is_how_a_recipe_is_trained_and_tells_no_recipes_apart() -> None:
    bf16, auto = ({"optimizer": {"lr": 0.1, "precision": precision}} for precision in ("bf16", "auto"))
    assert differ_in_seed_only(bf16, auto)
    assert differ_in_seed_only(bf16, {"optimizer": {"lr": 0.1}})
    assert not differ_in_seed_only(bf16, {"optimizer": {"lr": 0.2}})
    assert not differ_in_seed_only({"precision": "bf16"}, {"precision": "auto"})


def test_the_order_of_keys_does_not_matter() -> None:
    assert differ_in_seed_only({"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"d": 3, "c": 2}, "a": 1})


def test_values_are_found_by_dotted_key() -> None:
    flat = flatten({"seed": 1, "name": "kl_s1", "losses": [{"name": "kl", "weight": 2}]})
    assert flat == {"name": "kl", "losses.0.name": "kl", "losses.0.weight": 2}
