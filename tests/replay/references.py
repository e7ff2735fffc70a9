"""The right scores of the small drive, from torchmetrics and COCO's evaluation."""

from collections.abc import Sequence

import numpy as np
import pytest

from tests.support import drives, tiny_bundle

SCORE_THRESHOLD = 0.01  # as the training half scores a bundle


def reference_miou(indices: Sequence[int]) -> tuple[float, dict[str, float]]:
    """Mean IoU over the classes that occur, and each one's, by torchmetrics' confusion matrix."""
    torch = pytest.importorskip("torch", reason="torchmetrics is the reference")
    classification = pytest.importorskip(
        "torchmetrics.classification", reason="torchmetrics is the reference"
    )
    matrix = classification.MulticlassConfusionMatrix(num_classes=3, ignore_index=drives.VOID)
    for index in indices:
        seen = torch.from_numpy(drives.perceived(drives.picture(index)).astype(np.int64))
        matrix.update(seen, torch.from_numpy(drives.label(index).astype(np.int64)))
    table = matrix.compute().numpy()
    union = table.sum(0) + table.sum(1) - np.diag(table)
    iou = {drives.CLASS_NAMES[c]: np.diag(table)[c] / union[c] for c in range(3) if union[c]}
    return float(np.mean(list(iou.values()))), iou


def reference_map(indices: Sequence[int]) -> tuple[float, float]:
    """mAP 50:95 and mAP50 by faster-coco-eval, of the boxes that the tiny bundle always reports."""
    coco_eval = pytest.importorskip("faster_coco_eval", reason="COCO's evaluation is the reference")
    images = [{"id": i + 1, "height": drives.HEIGHT, "width": drives.WIDTH} for i in indices]
    truth, found = [], []
    corners = tiny_bundle.box_pixels(drives.HEIGHT, drives.WIDTH)
    for index in indices:
        for (x, y, w, h), label in drives.boxes(index):
            item = {
                "image_id": index + 1,
                "category_id": label,
                "bbox": [x, y, w, h],
                "area": w * h,
                "iscrowd": 0,
            }
            truth.append({"id": len(truth) + 1, **item})
        for (x1, y1, x2, y2), score, label in zip(
            corners, tiny_bundle.SCORES, tiny_bundle.LABELS, strict=True
        ):
            if score >= SCORE_THRESHOLD:
                box = [float(x1), float(y1), float(x2 - x1), float(y2 - y1)]
                found.append(
                    {"image_id": index + 1, "category_id": int(label), "bbox": box, "score": float(score)}
                )
    categories = [{"id": class_id, "name": name} for class_id, name in enumerate(drives.CLASS_NAMES)]
    reference = coco_eval.COCO({"images": images, "annotations": truth, "categories": categories})
    evaluation = coco_eval.COCOeval_faster(reference, reference.loadRes(found), "bbox")
    evaluation.run()
    return float(evaluation.stats[0]), float(evaluation.stats[1])
