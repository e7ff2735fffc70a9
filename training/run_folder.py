"""The run folder: recipe, provenance, weights and curves of one training, or of one step of compression."""

from __future__ import annotations

import json
import math
import os
import pickle
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from distill_perception.errors import first_line
from distill_perception.folder_lock import locked_folder
from distill_perception.manifest import Provenance
from distill_perception.whole_file import write_whole
from training.compression.fake_quant import add_fake_quant
from training.data.class_set import ClassSet
from training.data.class_sets import class_set
from training.errors import TrainingError
from training.hardware import is_first_process
from training.models.multi_task import MultiTaskNet
from training.models.shapes import Shapes, cut_to, read_shapes, write_shapes
from training.models.spec import ModelSpec
from training.provenance import this_command
from training.recipe import Recipe, load_recipe
from training.stages import STAGES

RECIPE = "recipe.yaml"
STAGED_RECIPE = "recipe_staged.yaml"  # as it was given; recipe.yaml is then its last stage's
PROVENANCE = "provenance.json"
RESULT = "result.json"
CHECKPOINTS = "checkpoints"
LAST = "last.ckpt"
WEIGHTS = "weights.safetensors"  # in place of a checkpoint, where nothing was trained


def start_run(folder: Path, recipe: Recipe) -> None:
    """Create the folder and write recipe, provenance and, if it starts from a pruned run, shapes.

    A resumed run keeps the provenance of its first start and lists each time that it went on. It is
    unfinished from here on.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RESULT).unlink(missing_ok=True)
    if recipe.model.init is not None and (shapes := read_shapes(recipe.model.init)) is not None:
        write_shapes(folder, shapes)
    write_whole(folder / RECIPE, yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False))
    now = this_command()
    provenance = {
        **now,
        "seed": recipe.seed,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads, "
        + (torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"),
    }
    path = folder / PROVENANCE
    begun = [folder / CHECKPOINTS / LAST, *folder.glob(f"{STAGES}/*/{CHECKPOINTS}/{LAST}")]
    if path.is_file() and any(checkpoint.is_file() for checkpoint in begun):
        first = read_json(folder, PROVENANCE)
        provenance = {**first, "resumed": [*first.get("resumed", []), now]}
    write_whole(path, json.dumps(provenance, indent=2) + "\n")


def note_evaluation(folder: Path) -> None:
    """Write into the provenance that the result's scores are this command's, not the training's."""
    provenance = {**read_json(folder, PROVENANCE), "evaluated": this_command()}
    (folder / PROVENANCE).write_text(json.dumps(provenance, indent=2) + "\n")


def note_restored(folder: Path, origin: Provenance) -> None:
    """Write into the provenance that the weights are those of the training that a bundle names."""
    known = {key: getattr(origin, key) for key in ("command", "git_hash", "seed", "date")}
    provenance = {**read_json(folder, PROVENANCE), **known, "restored": this_command()}
    (folder / PROVENANCE).write_text(json.dumps(provenance, indent=2) + "\n")


def recipe_file(folder: Path) -> Path:
    """The recipe of a run as it was given, with its stages if it has any."""
    staged = folder / STAGED_RECIPE
    return staged if staged.is_file() else folder / RECIPE


def read_json(folder: Path, name: str) -> dict[str, Any]:
    """A JSON file of the run.

    Raises:
        TrainingError: the file is damaged or missing, that is, `folder` is no run folder or the run did not
            end.
    """
    path = folder / name
    if not path.is_file():
        raise TrainingError(f"{path} is missing: {folder} is not the folder of a finished run")
    try:
        loaded: dict[str, Any] = json.loads(path.read_text())
    except ValueError as error:
        raise TrainingError(
            f"{path} is damaged ({error}): delete it, then `train ... --resume` writes it again"
        ) from error
    return loaded


def build_model(spec: ModelSpec, classes: ClassSet, shapes: Shapes | None = None) -> MultiTaskNet:
    """The network of a recipe's model section for a class set.

    Args:
        shapes: of a pruned network, which it is cut to.
    """
    model = MultiTaskNet(spec, len(classes.classes), [item.id for item in classes.things])
    if shapes is not None:
        cut_to(model, shapes)
    if spec.qat is not None:
        add_fake_quant(model, spec.qat == "symmetric", spec.qat_float_layers)
    return model


def load_model(folder: Path) -> tuple[Recipe, MultiTaskNet]:
    """The trained network of a run (averaged weights of its last epoch), in eval mode.

    Raises:
        TrainingError: no recipe or weights there, they do not fit each other or are not finite, or the run is
            not finished.
    """
    recipe = load_recipe(folder / RECIPE)
    path = weights_file(folder)
    state = _read_weights(path)
    if not (folder / RESULT).is_file():
        raise TrainingError(
            f"{folder} is not the folder of a finished run (no {RESULT}): let it end, or go on with "
            f"`distill-perception-train train RECIPE --out {folder} --resume`"
        )
    spec = recipe.model.model_copy(update={"pretrained": False})
    model = build_model(spec, class_set(recipe.data.class_set), read_shapes(folder))
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise TrainingError(f"{path} does not fit {folder / RECIPE}: {error}") from error
    broken = [name for name, value in state.items() if not value.isfinite().all()]
    if broken:
        raise TrainingError(
            f"{path}: '{broken[0]}' holds numbers that are not finite, as do {len(broken)} of {len(state)} "
            "tensors: the training went astray; train anew, with a lower learning rate"
        )
    return recipe, model.eval().to(memory_format=torch.channels_last)


def weights_file(folder: Path) -> Path:
    """The file with a run's weights.

    Raises:
        TrainingError: there is none.
    """
    path = folder / CHECKPOINTS / LAST
    for file in (path, folder / WEIGHTS):
        if file.is_file():
            return file
    raise TrainingError(
        f"{path} is missing: train first with `distill-perception-train train RECIPE --out {folder}`"
    )


def read_checkpoint(path: Path) -> dict[str, Any]:
    """What Lightning saved; tensors are read when they are looked at.

    Raises:
        TrainingError: the file is damaged.
    """
    try:
        saved: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (RuntimeError, OSError, EOFError, pickle.UnpicklingError) as error:
        raise TrainingError(
            f"{path} is damaged ({first_line(error)}): copy it again, or delete {path.parents[1]} to train "
            "anew"
        ) from error
    return saved


def _read_weights(path: Path) -> dict[str, Tensor]:
    if path.name == LAST:
        state = read_checkpoint(path)["state_dict"]
        return {k.removeprefix("model."): v for k, v in state.items() if k.startswith("model.")}
    try:
        return load_file(path)
    except SafetensorError as error:
        raise TrainingError(f"{path} is not a safetensors file: {error}") from error


@contextmanager
def locked_run(folder: Path) -> Iterator[None]:
    """Make a run folder and keep other trainings out of it until the end; it goes again if nothing came.

    One process speaks for all of a training that has several.

    Raises:
        TrainingError: another training writes there, or nobody can.
    """
    if not is_first_process():
        yield
        return
    made = not folder.is_dir()
    if made:
        refuse_unwritable(folder)
        folder.mkdir(parents=True, exist_ok=True)
    with locked_folder(folder, lambda who: _taken(folder, who)):
        try:
            yield
        finally:
            if made:
                with suppress(OSError):  # it is not empty
                    folder.rmdir()


def _taken(folder: Path, who: str) -> TrainingError:
    return TrainingError(
        f"{folder}: another training writes there{who}: choose another --out, or let it end first"
    )


def refuse_taken(folder: Path) -> None:
    """Raises TrainingError where a finished or an interrupted run would be overwritten, or none written."""
    refuse_unwritable(folder)
    if (folder / RESULT).exists() or (folder / CHECKPOINTS / LAST).exists():
        raise TrainingError(f"{folder} already holds a run: choose another --out")


def refuse_unwritable(folder: Path) -> None:
    """Raises TrainingError, before the work, where its results could not be written to a folder."""
    there = next(item for item in (folder, *folder.parents) if item.exists())
    if not (there.is_dir() and os.access(there, os.W_OK)):
        why = "may not be written" if there.is_dir() else "is a file"
        raise TrainingError(f"cannot write to {folder}: {there} {why}; choose another --out")


def write_untrained(
    folder: Path,
    recipe: Recipe,
    model: MultiTaskNet,
    shapes: Shapes | None,
    metrics: Mapping[str, float] | None = None,
) -> None:
    """Write a network that something else than training changed as a finished run of no epochs.

    Args:
        shapes: of a pruned network, None for one that is as large as the recipe says.
        metrics: on its validation data, if somebody has taken them.
    """
    start_run(folder, recipe)
    if shapes is not None:
        write_shapes(folder, shapes)
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, folder / WEIGHTS)
    write_result(folder, 0, 0.0, metrics or {})


def write_result(
    folder: Path,
    epochs: int,
    minutes: float,
    metrics: Mapping[str, float],
    more: Mapping[str, Any] | None = None,
) -> None:
    """Write how a run ended, which makes it a finished one; scores that nothing could tell are null.

    Args:
        more: other entries, of its stages for instance.
    """
    shown = {key: None if math.isnan(value) else round(value, 5) for key, value in metrics.items()}
    result = {**(more or {}), "epochs": epochs, "minutes": round(minutes, 1), "metrics": shown}
    write_whole(folder / RESULT, json.dumps(result, indent=2) + "\n")


def stored_metrics(folder: Path) -> dict[str, float]:
    """The metrics of a finished run."""
    metrics = read_json(folder, RESULT)["metrics"]
    return {key: math.nan if value is None else value for key, value in metrics.items()}
