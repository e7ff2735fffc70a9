"""Recipes that differ only in their seed."""

import pytest

from distill_perception.compare.seeds import flatten, recipe_key, without_seed


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
    assert recipe_key(recipes[0]) == recipe_key(recipes[1])
    assert recipe_key(recipes[0]) != recipe_key(recipes[0] | {"lr": 0.2})
    assert recipe_key(recipes[0]) != recipe_key(recipes[0] | {"name": "cwd_s1"})
    same_start = recipes[1] | {"model": {"init": "runs/labels_s1"}}  # always from the run of seed 1
    assert recipe_key(recipes[0]) != recipe_key(same_start)


def test_the_seed_is_taken_off_within_paths_to_stages_too() -> None:
    keys = {
        recipe_key(
            {
                "name": f"kl_s{seed}",
                "seed": seed,
                "model": {"init": f"/data/runs/kl_s{seed}/stages/coarse"},
                "teacher": {"run": f"runs/kl_s{seed}/stages/assistant"},
            }
        )
        for seed in (1, 2)
    }
    assert len(keys) == 1
    assert recipe_key({"seed": 1, "init": "kl_s1/stages/a"}) != recipe_key(
        {"seed": 1, "init": "a_s1/stages/a"}
    )


def test_precision_is_how_a_recipe_is_trained_and_tells_no_recipes_apart() -> None:
    recipes = [{"optimizer": {"lr": 0.1, "precision": precision}} for precision in ("bf16", "auto")]
    assert recipe_key(recipes[0]) == recipe_key(recipes[1]) == recipe_key({"optimizer": {"lr": 0.1}})
    assert recipe_key(recipes[0]) != recipe_key({"optimizer": {"lr": 0.2}})
    assert recipe_key({"precision": "bf16"}) != recipe_key({"precision": "auto"})


def test_the_order_of_keys_does_not_matter() -> None:
    assert recipe_key({"a": 1, "b": {"c": 2, "d": 3}}) == recipe_key({"b": {"d": 3, "c": 2}, "a": 1})


def test_values_are_found_by_dotted_key() -> None:
    flat = flatten({"seed": 1, "name": "kl_s1", "losses": [{"name": "kl", "weight": 2}]})
    assert flat == {"name": "kl", "losses.0.name": "kl", "losses.0.weight": 2}
