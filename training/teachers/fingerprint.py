"""What a teacher's answer depends on, as one short name."""

from __future__ import annotations

import hashlib
import json

import torch

from training.teachers.base import Teacher

# To be raised by every change after which the same weights and settings give another answer (a decoder, how
# maps are resized or views are merged) or keep it in another form. 2, 3: maps, mirrored views are in place.
# 4: boxes of views are those of the strongest cells.
ANSWERS_VERSION = 4


def fingerprint(teacher: Teacher, class_names: tuple[str, ...]) -> str:
    """SHA-256 over version, weights, settings and the student's class names, first 32 hex digits."""
    digest = hashlib.sha256()
    about = {"version": ANSWERS_VERSION, "classes": class_names, "settings": teacher.settings()}
    digest.update(json.dumps(about, sort_keys=True, default=str).encode())
    for name, value in sorted(teacher.state_dict().items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return digest.hexdigest()[:32]
