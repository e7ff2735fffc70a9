"""What libraries say that neither helps nor concerns the user of a command."""

from __future__ import annotations

import logging
import warnings

_ADVERTISING = "💡"


def quiet_libraries() -> None:
    """Keep the terminal for progress and problems.

    PyTorch's exporter says before every graph which of torchvision's operators it will not need; PyTorch
    warns that Lightning and copyreg use what it will change; Lightning recommends its makers' services.
    """
    logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", message=r".*isinstance\(treespec, LeafSpec\)")
    logging.getLogger("lightning.pytorch.utilities.rank_zero").addFilter(
        lambda record: _ADVERTISING not in record.getMessage()
    )
