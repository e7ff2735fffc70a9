"""All distillation losses of a recipe as one module."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from training.distillation.adapters import make_adapter
from training.distillation.dry_run import Seen, dry_run
from training.distillation.features import FeatureCapture
from training.distillation.inputs import DistillInputs
from training.distillation.losses.base import LOGITS, FeatureSpec, Site, Term, TermSpec
from training.distillation.losses.registry import TERMS
from training.errors import TrainingError
from training.models.outputs import Outputs


class DistillationLoss(nn.Module):
    """Weighted sum of a recipe's losses; holds what learns with the student: adapters and generators.

    Its parameters belong into the student's optimizer. Student and teacher are not submodules. Feature maps
    are taken from their forward passes by hooks until `close()`: run both, then call this once.
    """

    def __init__(
        self,
        specs: Sequence[TermSpec],
        student: nn.Module,
        teacher: nn.Module | Outputs,
        classes: int,
        size: tuple[int, int],
    ) -> None:
        """Build the losses from one pass of a grey frame of `size` (height, width) through both networks.

        Args:
            teacher: the network; or an example of its outputs, where they come from elsewhere.

        Raises:
            TrainingError: a network lacks a module or a task that a loss needs; the entry is named.
        """
        super().__init__()
        self._captures = _watch(specs, student, teacher)
        self.terms = nn.ModuleDict()
        try:
            seen = [
                Seen.of(network) if isinstance(network, Outputs) else dry_run(network, capture, size)
                for network, capture in zip((student, teacher), self._captures, strict=True)
            ]
            for index, spec in enumerate(specs):
                self.terms[self._label(spec.name)] = _build(index, spec, classes, *seen)
        except BaseException:
            self.close()
            raise
        self.to(next((p.device for p in student.parameters()), torch.device("cpu")))

    def _label(self, name: str) -> str:
        """`kl`, then `kl_2` and so on for further entries of that name."""
        count = sum(term.spec.name == name for term in self.terms.values())
        return name if count == 0 else f"{name}_{count + 1}"

    def forward(self, inputs: DistillInputs) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted sum of one step and each unweighted term by name.

        Losses are computed in float32 also under autocast. A term whose weight is 0 at the moment is left
        out, unless it has parameters, which DDP wants to see used.
        """
        captured = [capture.take() for capture in self._captures]
        inputs = replace(
            inputs,
            student_features={**inputs.student_features, **captured[0]},
            teacher_features={**inputs.teacher_features, **captured[1]},
        )
        total = torch.zeros((), device=inputs.target.device)
        values: dict[str, Tensor] = {}
        with torch.autocast(inputs.target.device.type, enabled=False):
            for name, term in self.terms.items():
                weight = term.spec.weight.at(inputs.progress)
                if weight == 0 and next(term.parameters(), None) is None:
                    continue
                value = term(inputs)
                values[name] = value
                total = total + weight * value
        return total, values

    def close(self) -> None:
        """Remove the hooks from student and teacher."""
        for capture in self._captures:
            capture.close()


def _watch(
    specs: Sequence[TermSpec], student: nn.Module, teacher: nn.Module | Outputs
) -> list[FeatureCapture]:
    """Captures of all maps that the losses name: the student's, the teacher's."""
    pairs = [(spec.student, spec.teacher) for spec in specs if isinstance(spec, FeatureSpec)]
    captures: list[FeatureCapture] = []
    try:
        for side, (model, whose) in enumerate(((student, "student"), (teacher, "teacher"))):
            paths = [pair[side] for pair in pairs if pair[side] != LOGITS]
            network = nn.Identity() if isinstance(model, Outputs) else model
            captures.append(FeatureCapture(network, paths, whose))
    except TrainingError:
        for capture in captures:
            capture.close()
        raise
    return captures


def _build(index: int, spec: TermSpec, classes: int, student: Seen, teacher: Seen) -> Term:
    """The term of one entry, fitted to what both networks gave."""
    kind = TERMS[spec.name]
    where = f"distillation.{index} ({spec.name})"
    for task in kind.tasks:
        for whose, seen in (("student", student), ("teacher", teacher)):
            if getattr(seen.outputs, task) is None:
                raise TrainingError(f"{where}: the {whose} gives no {task}; remove the entry")
    if not isinstance(spec, FeatureSpec):
        return kind(spec, Site(classes))
    for whose, path, seen in (("student", spec.student, student), ("teacher", spec.teacher, teacher)):
        if path not in seen.maps:
            raise TrainingError(f"{where}: the {whose} does not run '{path}' in a forward pass; name another")
        if path in seen.repeated:
            raise TrainingError(f"{where}: {_several_maps(whose, path)}")
    mine, theirs = student.maps[spec.student].shape[1], teacher.maps[spec.teacher].shape[1]
    adapter = make_adapter(mine, theirs) if kind.matches_channels else None
    return kind(spec, Site(classes, theirs, adapter))


def _several_maps(whose: str, path: str) -> str:
    """Only the last of them would be compared: with a teacher's test-time augmentation, the mirrored one."""
    problem = f"the {whose} runs '{path}' several times in a forward pass, so that it has no one map there"
    if whose == "student":
        return f"{problem}: name a module that runs once"
    return (
        f"{problem}: with test-time augmentation it sees the frame mirrored or scaled, too; remove "
        "teacher.tta, or compare outputs (kl and the like, or `teacher: logits`); without it, name a module "
        "that runs once"
    )
