"""COCO's average precision of boxes, by faster-coco-eval (pycocotools' interface, in C++)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from faster_coco_eval import COCO, COCOeval_faster
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from torchmetrics import Metric

from distill_perception.metrics import IOU_THRESHOLDS, MAX_DETECTIONS
from training.errors import TrainingError

Detected = tuple[Any, Any, Any]
Regions = tuple[Any, Any]
NO_REGIONS: Regions = (torch.zeros(0, 4), torch.zeros(0))
Rows = NDArray[np.float64]


class BoxPrecision(Metric):
    """Collects boxes and computes average precision over all areas; ignored regions are COCO's crowds."""

    full_state_update = False
    found: list[Tensor]
    true: list[Tensor]
    found_counts: list[Tensor]
    true_counts: list[Tensor]

    def __init__(self, class_ids: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.class_ids = tuple(sorted(class_ids))
        # All images' rows in a line, and each image's number of rows: stays in step when processes gather.
        for name in ("found", "true", "found_counts", "true_counts"):
            self.add_state(name, [], dist_reduce_fx="cat")

    def update(
        self,
        detected: Sequence[Detected],
        boxes: Sequence[Any],
        labels: Sequence[Any],
        ignored: Sequence[Regions] | None = None,
    ) -> None:
        """Add images.

        Args:
            detected: an image's (boxes float [K,4] x1,y1,x2,y2 in pixels, scores float [K], labels int [K]).
            boxes: an image's labelled boxes, float [G,4]. labels: their class ids, int [G].
            ignored: an image's (boxes float [I,4], class ids [I]): a detection in one counts for nothing;
                there are none if it is empty or None.

        Raises:
            TrainingError: lengths differ, a class id is unknown, or a value is not finite.
        """
        if not len(detected) == len(boxes) == len(labels):
            raise TrainingError(
                f"evaluation: {len(detected)} images with detections, {len(boxes)} with labelled boxes and "
                f"{len(labels)} with their labels; each image needs all three, empty ones too"
            )
        found = [self._rows("detections", corners, ids, scores) for corners, scores, ids in detected]
        regions = ignored or [NO_REGIONS] * len(boxes)
        true = [
            torch.cat([self._labelled(corners, ids, False), self._labelled(*crowds, True)])
            for corners, ids, crowds in zip(boxes, labels, regions, strict=True)
        ]
        # An empty table comes first: a process without images must have tables of the right shape to gather.
        self.found.append(torch.cat([self._empty(6), *found]))
        self.true.append(torch.cat([self._empty(6), *true]))
        self.found_counts.append(
            torch.tensor([len(rows) for rows in found], dtype=torch.int64).to(self.device)
        )
        self.true_counts.append(torch.tensor([len(rows) for rows in true], dtype=torch.int64).to(self.device))

    def _labelled(self, corners: Any, ids: Any, crowd: bool) -> Tensor:
        """An image's table x1,y1,x2,y2,class id,crowd."""
        return F.pad(self._rows("labelled boxes", corners, ids), (0, 1), value=float(crowd))

    def _rows(self, what: str, corners: Any, ids: Any, scores: Any = None) -> Tensor:
        """One image's table x1,y1,x2,y2,class id(,score), checked."""
        columns = [torch.as_tensor(corners).detach().to(self.device, torch.float64).reshape(-1, 4)]
        columns += [_column(values, self.device) for values in (ids, scores) if values is not None]
        if len({len(column) for column in columns}) > 1:
            raise TrainingError(f"evaluation: {what}: boxes, scores and labels differ in number")
        table = torch.cat(columns, dim=1)
        if not torch.isfinite(table).all():
            raise TrainingError(f"evaluation: {what} hold NaN or infinite values")
        unknown = set(table[:, 4].long().tolist()) - set(self.class_ids)
        if unknown:
            raise TrainingError(
                f"evaluation: {what} are of class id {min(unknown)}, but the classes with boxes are "
                f"{', '.join(map(str, self.class_ids))}"
            )
        return table

    def _empty(self, columns: int) -> Tensor:
        return torch.zeros(0, columns, dtype=torch.float64, device=self.device)

    def compute(self) -> Tensor:
        """Average precision, float64 [classes in id order, 10 IoU thresholds]; nan without a labelled box.

        Its mean over everything that is not nan is COCO's mAP, that of the first column mAP50.
        """
        found, true = _table(self.found, 6), _table(self.true, 6)
        single = true[true[:, 5] == 0, 4]
        labelled = torch.tensor([bool((single == index).any()) for index in self.class_ids])
        precision = torch.zeros(len(self.class_ids), len(IOU_THRESHOLDS), dtype=torch.float64)
        if len(found) and labelled.any():
            truth = COCO(
                {
                    "images": [{"id": index} for index in range(len(_table(self.true_counts, 1)))],
                    "categories": [{"id": index, "name": str(index)} for index in self.class_ids],
                    "annotations": _annotations(true, _images(self.true_counts)),
                }
            )
            results = _results(found, _images(self.found_counts))
            precision = torch.from_numpy(_evaluate(truth, results).mean(1).T)
        return torch.where(labelled[:, None], precision, torch.nan)


def _evaluate(truth: COCO, results: Rows) -> Rows:
    """Interpolated precision, float64 [10 IoU thresholds, 101 recalls, classes in id order]."""
    evaluation = COCOeval_faster(truth, truth.loadRes(results), "bbox", print_function=lambda *_: None)
    evaluation.params.maxDets = [MAX_DETECTIONS]
    evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
    evaluation.evaluate()
    evaluation.accumulate()
    return np.asarray(evaluation.eval["precision"])[:, :, :, 0, 0]


def _annotations(true: Rows, images: NDArray[np.int64]) -> list[dict[str, Any]]:
    """COCO's annotation records of rows x1,y1,x2,y2,class id,crowd."""
    return [
        {
            "id": number,
            "image_id": image,
            "category_id": int(label),
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "area": (x2 - x1) * (y2 - y1),
            "iscrowd": int(crowd),
        }
        for number, (image, (x1, y1, x2, y2, label, crowd)) in enumerate(
            zip(images.tolist(), true.tolist(), strict=True), start=1
        )
    ]


def _results(found: Rows, images: NDArray[np.int64]) -> Rows:
    """x1,y1,x2,y2,class id,score as faster-coco-eval's image id,x,y,width,height,score,class id."""
    corners, label, score = found[:, :4], found[:, 4:5], found[:, 5:6]
    return np.hstack([images[:, None], corners[:, :2], corners[:, 2:] - corners[:, :2], score, label])


def _column(values: Any, device: torch.device) -> Tensor:
    return torch.as_tensor(values).detach().to(device, torch.float64).reshape(-1, 1)


def _table(parts: list[Tensor] | Tensor, columns: int) -> Rows:
    """A state (a list of parts or, gathered from several processes, one tensor) as float64 [M,columns]."""
    parts = parts if isinstance(parts, list) else [parts]
    tables = [part.double().cpu().numpy().reshape(-1, columns) for part in parts]
    return np.concatenate(tables) if tables else np.zeros((0, columns))


def _images(counts: list[Tensor] | Tensor) -> NDArray[np.int64]:
    """Image number of each row, from how many rows each image has."""
    numbers = _table(counts, 1)[:, 0].astype(np.int64)
    return np.repeat(np.arange(len(numbers)), numbers)
