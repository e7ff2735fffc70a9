"""A compress recipe that is done in seconds."""

from __future__ import annotations

from pathlib import Path

from training.compression.spec import CompressRecipe

STEPS = [
    {"do": "channels", "latency": 0.6, "importance": "taylor", "frames": 4},
    {"do": "finetune", "epochs": 1, "lr": 1.0e-2, "share": 0.25},
    {
        "do": "qat",
        "epochs": 1,
        "quantize": {"calibrator": "mse", "frames": 4, "float_layers": ["detection_head.*"]},
    },
    {"do": "cluster", "bits": 4},
]


def compress_recipe(student: Path, **changes: object) -> CompressRecipe:
    """All kinds of steps on a run of `tests/training/compression`, which is its own teacher."""
    values = {
        "name": "tiny_small",
        "run": student,
        "engine": "onnxruntime",
        "rounds": 1,
        "threads": 1,
        "max_miou_drop": 100,
        "teacher": {"run": student},  # in the loop of qat and of taylor's gradients
        "distillation": [{"name": "kl"}],
        "steps": STEPS,
    }
    return CompressRecipe.model_validate(values | changes)
