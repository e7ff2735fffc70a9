"""Takes feature maps out of a network by forward hooks, so that no network knows of distillation.

After the way of torchdistill (Matsubara 2020, https://arxiv.org/abs/2011.12913), section 3.2.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from typing import Any

from torch import Tensor, nn

from training.distillation.tokens import fold_tokens
from training.errors import TrainingError

IMAGE_CHANNELS = 3
OBJECTS = ("decoder", "quer")  # in the paths of modules whose tokens are objects, not places

Cells = tuple[tuple[int, int], int]  # the frame (H, W) that the first convolution sees, and its stride


class FeatureCapture:
    """Keeps the outputs of named modules during a forward pass.

    A path is dotted, as `named_modules()` gives it. Where a module gives several maps, one more number picks
    one: `encoder.2` is the third map of `encoder`. A module whose output the next one changes in place (batch
    norm before an in-place ReLU) shows the changed values. Tokens of a transformer [N,L,C] are folded into a
    map by what the network's first convolution sees of the frame; a decoder's, which are objects, are not.

    Only the network given is watched: a copy made of it later (EMA) runs without touching what was captured,
    and a copied capture is the same capture.
    """

    def __init__(self, model: nn.Module, paths: Iterable[str], whose: str) -> None:
        """Watch the modules `paths` of `model`; `whose` ("student", "teacher") names it in errors.

        Raises:
            TrainingError: there is no module of that path; the message lists the nearest.
        """
        self._whose = whose
        self._maps: dict[str, Tensor] = {}
        self._repeated: set[str] = set()
        self._cells: Cells | None = None
        found = {path: _locate(model, path, whose) for path in dict.fromkeys(paths)}
        self._handles = [
            module.register_forward_hook(self._hook(path, module, index))
            for path, (module, index) in found.items()
        ]
        for module in model.modules():
            if isinstance(module, nn.Conv2d) and module.in_channels == IMAGE_CHANNELS:
                self._handles.append(module.register_forward_pre_hook(self._cells_hook(module)))

    def _cells_hook(self, owner: nn.Conv2d) -> Callable[..., None]:
        def note(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            if module is owner:
                self._cells = (inputs[0].shape[-2], inputs[0].shape[-1]), owner.stride[0]

        return note

    def _hook(self, path: str, owner: nn.Module, index: int | None) -> Callable[..., None]:
        of_objects = any(word in path for word in OBJECTS)

        def keep(module: nn.Module, _: Any, output: Any) -> None:
            if module is owner:  # a deep copy of the network carries this hook along
                if path in self._maps:
                    self._repeated.add(path)
                cells = None if of_objects else self._cells
                self._maps[path] = _one_map(output, index, f"{self._whose}: {path}", cells)

        return keep

    def take(self) -> dict[str, Tensor]:
        """The maps of the last forward pass, float [N,C,h,w] by path; they are not kept any longer."""
        maps, self._maps = self._maps, {}
        self._repeated = set()
        return maps

    @property
    def repeated(self) -> frozenset[str]:
        """Paths of modules that ran more than once since the last `take`, of which only one map is kept."""
        return frozenset(self._repeated)

    def close(self) -> None:
        """Remove the hooks and what they kept."""
        for handle in self._handles:
            handle.remove()
        self._handles = []
        self.take()

    def __deepcopy__(self, _: dict[int, Any]) -> FeatureCapture:
        return self


def _locate(model: nn.Module, path: str, whose: str) -> tuple[nn.Module, int | None]:
    modules = dict(model.named_modules())
    if path and path in modules:
        return modules[path], None
    parent, _, last = path.rpartition(".")
    if parent in modules and parent and last.isdigit() and not _is_container(modules[parent]):
        return modules[parent], int(last)
    names = [name for name in modules if name]
    nearest = difflib.get_close_matches(path, names, n=3, cutoff=0.4)
    hint = f"did you mean {', '.join(nearest)}?" if nearest else f"it has {', '.join(_top(model))}"
    raise TrainingError(f"the {whose} has no module '{path}': {hint}")


def _is_container(module: nn.Module) -> bool:
    return isinstance(module, (nn.Sequential, nn.ModuleList, nn.ModuleDict))


def _top(model: nn.Module) -> list[str]:
    return [name for name, _ in model.named_children()]


def _one_map(output: Any, index: int | None, where: str, cells: Cells | None) -> Tensor:
    if index is not None:
        try:
            output = None if isinstance(output, Tensor) else output[index]
        except (IndexError, KeyError, TypeError):
            output = None
        if output is None:
            raise TrainingError(f"{where}: the module's output has no map {index}")
    if isinstance(output, Tensor) and output.ndim == 3 and cells is not None:
        folded = fold_tokens(output, *cells)
        output = output if folded is None else folded
    if not isinstance(output, Tensor) or output.ndim != 4:
        if isinstance(output, Tensor):
            raise TrainingError(
                f"{where} gives {list(output.shape)}, not a map [N,C,h,w]: name another module"
            )
        kind = type(output).__name__
        raise TrainingError(
            f"{where} gives a {kind}: add .0, .1 ... to the path to pick a map [N,C,h,w] in it"
        )
    return output
