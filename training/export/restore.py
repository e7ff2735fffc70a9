"""From a bundle back to a run: to train on, teach, prune or export where only the bundle is at hand.

The FP32 graph holds every weight under its layer's name, but batch norms are folded into the convolutions
before them, so their own values are lost. Any statistics give back the same function if scale and shift undo
them; those that frames show also make it behave in training as it does when deployed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from rich.progress import track
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from distill_perception.bundle import MANIFEST_NAME, Bundle
from distill_perception.engines import available_engines
from training.data.class_sets import class_set, is_elsewhere
from training.data.spec import DataSpec
from training.errors import TrainingError
from training.evaluate import validate
from training.export.draft import frames_of
from training.export.forms import Form
from training.export.graph import DeployedNet
from training.export.layers import PREFIX, SUFFIX
from training.export.parity import measure_parity, require_parity
from training.models.multi_task import MultiTaskNet
from training.models.shapes import SHAPES, read_shapes
from training.recipe import Recipe, load_recipe
from training.run_folder import RECIPE, build_model, note_restored, refuse_taken, write_untrained

BIAS = "_bias"
FRAMES = 64
PARITY_FRAMES = 4


def restore_run(bundle: Bundle, out: Path, data: DataSpec | None = None) -> dict[str, float]:
    """Write a bundle's FP32 network as a finished run of no epochs, with the recipe that the bundle holds.

    Args:
        data: frames for the statistics and for scores; what the bundle's own recipe names if left out.

    Returns:
        Its scores on the validation data, as `train` gives them.

    Raises:
        TrainingError: `out` holds a run, the bundle has no recipe, its graph is not what the recipe
            describes, or the restored network does not answer as the bundle does.
    """
    refuse_taken(out)
    recipe = _recipe_of(bundle, data)
    shapes = read_shapes(bundle.path)
    spec = recipe.model.model_copy(update={"pretrained": False})
    model = build_model(spec, class_set(recipe.data.class_set), shapes).eval()
    frames = np.stack(list(frames_of(recipe, recipe.data.train, FRAMES)))
    path = bundle.model_path("fp32")
    fill(model, read_constants(path), frames, str(path))
    net = DeployedNet(model, recipe.model.detection.max_detections)
    some = frames[:: max(1, len(frames) // PARITY_FRAMES)]
    forms = [Form(engine, "fp32") for engine in available_engines()]
    require_parity(list(measure_parity(net, bundle, some, forms).values()))
    metrics = validate(model, recipe)
    write_untrained(out, recipe, model, shapes, metrics)
    note_restored(out, bundle.manifest.provenance)
    return metrics


def _recipe_of(bundle: Bundle, data: DataSpec | None) -> Recipe:
    """The recipe in the bundle, its frames as the vehicle sees them, and no INT8 simulated."""
    path = bundle.path / RECIPE
    if not path.is_file():
        raise TrainingError(
            f"{path} is missing: of an adapted bundle, restore the one that it was made from; "
            "an older one must be exported again"
        )
    recipe = load_recipe(path)
    model = recipe.model.model_copy(update={"qat": None, "qat_float_layers": ()})
    served = bundle.manifest.input
    as_served: dict[str, Any] = {"size": (served.height, served.width), "resize": served.resize}
    if data is None and is_elsewhere(recipe.data.class_set):  # the manifest has the classes too
        as_served["class_set"] = str(bundle.path.resolve() / MANIFEST_NAME)
    data = (data or recipe.data).model_copy(update=as_served)
    recipe = recipe.model_copy(update={"model": model, "data": data})
    found, wanted = class_set(recipe.data.class_set).names, bundle.manifest.class_names
    if tuple(found) != wanted:
        raise TrainingError(
            f"the recipe's class set '{recipe.data.class_set}' is not the bundle's classes: {wanted}"
        )
    return recipe


def read_constants(path: Path) -> dict[str, Tensor]:
    """The constants of an ONNX graph by name; the bias of a convolution also by its weight's name + BIAS.

    The exporter keeps equal constants once, so that a bias may have the name of another layer's, and leaves
    out those that are zero.
    """
    graph = onnx.load(str(path)).graph
    found = {item.name: torch.from_numpy(numpy_helper.to_array(item).copy()) for item in graph.initializer}
    for node in graph.node:
        if node.op_type in ("Conv", "ConvTranspose") and node.input[1] in found:
            zeros = torch.zeros(len(found[node.input[1]]))
            found[node.input[1] + BIAS] = found[node.input[2]] if len(node.input) == 3 else zeros
    return found


def fill(model: MultiTaskNet, stored: Mapping[str, Tensor], frames: NDArray[np.uint8], where: str) -> None:
    """Give `model`, in place, the weights of an exported graph.

    A convolution w * x + b that took in a batch norm becomes one of unit variance per channel, (w / s) * x,
    before a batch norm that undoes this: mean m / s, variance 1, scale s, shift b + m, where m and s are mean
    and standard deviation of w * x over the frames.

    Args:
        stored: the graph's constants by name.
        frames: uint8 [N,H,W,3] RGB.
        where: the file, for messages.

    Raises:
        TrainingError: a layer is not in the graph, or of another shape.
    """
    norms = _norm_behind(model, frames[:1])
    for name, parameter in model.named_parameters():
        layer, _, kind = name.rpartition(".")
        if isinstance(model.get_submodule(layer), nn.BatchNorm2d):
            continue
        known_as = layer + SUFFIX + BIAS if kind == "bias" else name
        parameter.data.copy_(_stored(stored, PREFIX + known_as, parameter, where))
    for name, norm in norms.items():
        norm.reset_parameters()  # mean 0, variance 1, scale 1
        norm.bias.data.copy_(_stored(stored, PREFIX + name + SUFFIX + BIAS, norm.bias, where))
        norm.weight.data.fill_((1 + norm.eps) ** 0.5)
    for name, (mean, variance) in _statistics(model, norms, frames).items():
        norm, weight = norms[name], model.get_parameter(name + SUFFIX)
        deviation = torch.where(variance > norm.eps, variance, torch.ones_like(variance)).sqrt()
        weight.data.div_(deviation[:, None, None, None])
        norm.running_mean = mean / deviation
        norm.running_var = variance / deviation.square()
        norm.weight.data.copy_(deviation * (norm.running_var + norm.eps).sqrt())
        norm.bias.data.add_(mean)


def _stored(stored: Mapping[str, Tensor], name: str, like: Tensor, where: str) -> Tensor:
    found = stored.get(name)
    if found is None or found.shape != like.shape:
        what = "is missing" if found is None else f"is {list(found.shape)}, not {list(like.shape)}"
        raise TrainingError(
            f"{where}: '{name}' {what}: the graph is not that of the bundle's {RECIPE} and {SHAPES}"
        )
    return found


def _norm_behind(model: MultiTaskNet, frames: NDArray[np.uint8]) -> dict[str, nn.BatchNorm2d]:
    """The batch norm that takes each convolution's output, by the convolution's name; seen in one pass."""
    outputs: list[tuple[str, Tensor]] = []
    found: dict[str, nn.BatchNorm2d] = {}

    def find(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        for name, output in outputs:
            if output is inputs[0] and isinstance(layer, nn.BatchNorm2d):
                found[name] = layer

    hooks = []
    for name, layer in model.named_modules():
        if isinstance(layer, nn.Conv2d):
            hooks.append(
                layer.register_forward_hook(lambda _, __, output, n=name: outputs.append((n, output)))
            )
        elif isinstance(layer, nn.BatchNorm2d):
            hooks.append(layer.register_forward_pre_hook(find))
    _show(model, frames, hooks)
    return found


def _statistics(
    model: MultiTaskNet, norms: Mapping[str, nn.BatchNorm2d], frames: NDArray[np.uint8]
) -> dict[str, tuple[Tensor, Tensor]]:
    """Mean and variance per channel of what each batch norm gets, float32 [C], by the convolution's name."""
    sums = {name: torch.zeros(2, norm.num_features, dtype=torch.float64) for name, norm in norms.items()}

    def add(name: str, x: Tensor) -> None:
        x = x.double()
        sums[name] += torch.stack((x.mean((0, 2, 3)), x.square().mean((0, 2, 3)))) / len(frames)

    hooks = [
        norm.register_forward_pre_hook(lambda _, inputs, n=name: add(n, inputs[0]))
        for name, norm in norms.items()
    ]
    _show(model, frames, hooks)
    return {name: (mean.float(), (square - mean**2).float()) for name, (mean, square) in sums.items()}


def _show(model: MultiTaskNet, frames: NDArray[np.uint8], hooks: Iterable[RemovableHandle]) -> None:
    """Let the network look at the frames one by one, then take the hooks off it."""
    with torch.no_grad():
        for frame in track(frames, "looking at frames", transient=True):
            model(torch.from_numpy(frame[None]).permute(0, 3, 1, 2).float())
    for hook in hooks:
        hook.remove()
