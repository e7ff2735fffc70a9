"""When a compression may go on in its folder: files are written by hand, no step is done."""

from pathlib import Path

import pytest

from training.compression.points import Point, write_point
from training.compression.resume import RECIPE, START_WEIGHTS, start
from training.compression.spec import CompressRecipe
from training.compression.steps import step_folder
from training.errors import TrainingError
from training.run_folder import WEIGHTS

CHANNELS = {"do": "channels", "latency": 0.5}
QUANTIZE = {"do": "quantize"}
SEARCHED = {"do": "quantize", "max_float_layers": 3}
SEARCHED_QAT = {"do": "qat", "epochs": 1, "quantize": {"max_float_layers": 3}}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / WEIGHTS).write_bytes(b"weights")
    return tmp_path / "run"


def recipe(run: Path, *steps: object, **changes: object) -> CompressRecipe:
    return CompressRecipe.model_validate({"name": "small", "run": run, "steps": steps, **changes})


def started(folder: Path, spec: CompressRecipe, done: int) -> Path:
    start(spec, folder, resume=False)
    for number, step in enumerate(spec.steps[:done], 1):
        place = step_folder(folder, number, step)
        place.mkdir(parents=True)
        write_point(place, Point(place.name, "fp32", 1, 1, 0.0, 1, {}))
    return folder


def test_a_folder_is_gone_on_with_only_if_asked(run: Path, tmp_path: Path) -> None:
    folder = started(tmp_path / "out", recipe(run, CHANNELS), 1)
    start(recipe(run, CHANNELS, QUANTIZE), folder, resume=True)  # steps may follow
    with pytest.raises(TrainingError, match="add --resume"):
        start(recipe(run, CHANNELS, QUANTIZE), folder, resume=False)
    with pytest.raises(TrainingError, match="other steps"):
        start(recipe(run, QUANTIZE), folder, resume=True)


def test_steps_that_were_not_done_yet_may_be_changed(run: Path, tmp_path: Path) -> None:
    """Finetuning longer is what a point that misses its budget is told to try."""
    short, longer = ({"do": "finetune", "epochs": epochs} for epochs in (1, 2))
    folder = started(tmp_path / "out", recipe(run, CHANNELS, short), 1)
    start(recipe(run, CHANNELS, longer, QUANTIZE), folder, resume=True)
    folder = started(tmp_path / "later", recipe(run, CHANNELS, short), 2)
    with pytest.raises(TrainingError, match="other steps"):
        start(recipe(run, CHANNELS, longer), folder, resume=True)


def test_what_a_replaced_step_has_begun_is_removed(run: Path, tmp_path: Path) -> None:
    """The folders of steps that ended, and of the one that goes on, stay as they are."""
    tuned = {"do": "finetune", "epochs": 1}
    folder = started(tmp_path / "out", recipe(run, CHANNELS, tuned, SEARCHED_QAT), 1)
    begun = [folder / "steps" / name / "run" for name in ("01_channels", "02_finetune", "03_qat")]
    for place in begun:
        place.mkdir(parents=True)
    start(recipe(run, CHANNELS, tuned, QUANTIZE), folder, resume=True)
    assert {place.name for place in (folder / "steps").iterdir()} == {"01_channels", "02_finetune"}
    assert begun[0].is_dir()
    assert begun[1].is_dir()


@pytest.mark.parametrize("step", [SEARCHED, SEARCHED_QAT])
def test_another_budget_is_refused_once_layers_were_searched_with_it(
    step: dict[str, object], run: Path, tmp_path: Path
) -> None:
    folder = started(tmp_path / "out", recipe(run, QUANTIZE, step), 1)
    start(recipe(run, QUANTIZE, step, max_miou_drop=2), folder, resume=True)
    folder = started(tmp_path / "later", recipe(run, QUANTIZE, step), 2)
    with pytest.raises(TrainingError, match="other max_miou_drop"):
        start(recipe(run, QUANTIZE, step, max_miou_drop=2), folder, resume=True)


def test_other_threads_are_refused_once_channels_were_cut_with_them(run: Path, tmp_path: Path) -> None:
    folder = started(tmp_path / "out", recipe(run, QUANTIZE, CHANNELS), 1)
    start(recipe(run, QUANTIZE, CHANNELS, threads=2), folder, resume=True)
    folder = started(tmp_path / "later", recipe(run, QUANTIZE, CHANNELS), 2)
    with pytest.raises(TrainingError, match="other threads"):
        start(recipe(run, QUANTIZE, CHANNELS, threads=2), folder, resume=True)


@pytest.mark.parametrize("step", [{"do": "finetune", "epochs": 1}, {**CHANNELS, "importance": "taylor"}])
def test_another_teacher_is_refused_once_it_has_taught(
    step: dict[str, object], run: Path, tmp_path: Path
) -> None:
    """Until then one that is not there can be put right."""
    before, now = {"teacher": {"run": "nowhere"}}, {"teacher": {"run": "t"}, "distillation": [{"name": "kl"}]}
    folder = started(tmp_path / "out", recipe(run, CHANNELS, step, **before), 1)
    start(recipe(run, CHANNELS, step, **now), folder, resume=True)
    folder = started(tmp_path / "later", recipe(run, CHANNELS, step, **before), 2)
    with pytest.raises(TrainingError, match="other teacher, distillation"):
        start(recipe(run, CHANNELS, step, **now), folder, resume=True)


def test_a_start_that_was_trained_anew_is_refused(run: Path, tmp_path: Path) -> None:
    spec = recipe(run, QUANTIZE)
    folder = started(tmp_path / "out", spec, 1)
    start(spec, folder, resume=True)
    (run / WEIGHTS).write_bytes(b"other weights")
    with pytest.raises(TrainingError, match=r"not started from what .*weights\.safetensors holds now"):
        start(spec, folder, resume=True)
    (folder / START_WEIGHTS).unlink()
    with pytest.raises(TrainingError, match="not started from"):
        start(spec, folder, resume=True)


@pytest.mark.parametrize("content", ["", "3", "name: small", "- {", "{name: small, run: x, steps: []}"])
def test_a_folder_whose_recipe_is_broken_is_refused(content: str, run: Path, tmp_path: Path) -> None:
    spec = recipe(run, QUANTIZE)
    folder = started(tmp_path / "out", spec, 0)
    (folder / RECIPE).write_text(content)
    with pytest.raises(TrainingError, match=r"compress\.yaml"):
        start(spec, folder, resume=True)


def test_a_key_that_an_earlier_version_did_not_write_has_its_default(run: Path, tmp_path: Path) -> None:
    spec = recipe(run, QUANTIZE)
    folder = started(tmp_path / "out", spec, 1)
    (folder / RECIPE).write_text(f"name: small\nrun: {run}\nsteps: [{{do: quantize}}]\n")
    start(spec, folder, resume=True)
    with pytest.raises(TrainingError, match="other engine"):
        start(recipe(run, QUANTIZE, engine="onnxruntime"), folder, resume=True)
