"""What a teacher's answer depends on, as one short name."""

from __future__ import annotations

import hashlib
import json

import torch

from training.teachers.base import Teacher

# To be raised whenever the same weights and settings begin to give another answer or cache layout.
FORMAT = 1


def fingerprint(teacher: Teacher, class_names: tuple[str, ...]) -> str:
    """SHA-256 over weights, settings and the student's class names, first 32 hex digits."""
    digest = hashlib.sha256()
    about = {"format": FORMAT, "classes": class_names, "settings": teacher.settings()}
    digest.update(json.dumps(about, sort_keys=True, default=str).encode())
    for name, value in sorted(teacher.state_dict().items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return digest.hexdigest()[:32]
