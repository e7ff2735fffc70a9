"""What a command's terminal is spared: what libraries say that neither helps nor concerns its user."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

from distill_perception.terminal import warn
from training.errors import TrainingWarning

_ADVERTISING = "💡"


def quiet_libraries() -> None:
    """Keep the terminal for progress and problems.

    PyTorch's exporter says before every graph which of torchvision's operators it will not need; PyTorch
    warns that Lightning and copyreg use what it will change; Lightning recommends its makers' services. Our
    own warnings are shown without the line of Python that gave them.
    """
    warnings.showwarning = partial(_show, warnings.showwarning)
    logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", message=r".*isinstance\(treespec, LeafSpec\)")
    logging.getLogger("lightning.pytorch.utilities.rank_zero").addFilter(
        lambda record: _ADVERTISING not in record.getMessage()
    )


def _show(
    otherwise: Callable[..., None], message: Warning | str, category: type[Warning], *where: Any, **more: Any
) -> None:
    if issubclass(category, TrainingWarning):
        warn(str(message))
    else:
        otherwise(message, category, *where, **more)
