"""The training step and the validation of a student (or teacher) as a Lightning module."""

from __future__ import annotations

import lightning as L
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics.classification import MulticlassConfusionMatrix

from training.data.class_sets import CAMVID, CAMVID_NAMES
from training.data.sample import VOID_ID
from training.distillation.losses import cross_entropy, enet_class_weights, kl_divergence, lovasz_softmax
from training.errors import TrainingError
from training.models.segmenter import Segmenter, upsample
from training.recipe import ModelSpec, Recipe
from training.run_folder import load_model


def iou_from_confusion(confusion: Tensor) -> Tensor:
    """IoU of each class, float [C], from counts [C,C] (rows: label); nan where a class never occurs."""
    hits = confusion.diag().double()
    union = confusion.sum(0) + confusion.sum(1) - confusion.diag()
    return torch.where(union > 0, hits / union.clamp(min=1), torch.nan)


def _build(spec: ModelSpec, classes: int) -> Segmenter:
    """The network as the recipe starts it: from ImageNet, from scratch, or from an earlier run.

    Raises:
        TrainingError: the earlier run is not finished or has another shape.
    """
    if spec.init is None:
        return Segmenter(spec, classes)
    model = Segmenter(spec.model_copy(update={"pretrained": False}), classes)
    start = load_model(spec.init)[1].state_dict()
    try:
        model.load_state_dict(start)
    except RuntimeError as error:
        raise TrainingError(f"model.init: {spec.init} does not fit the recipe's model: {error}") from error
    return model


class DistillationModule(L.LightningModule):
    """Cross-entropy on labels plus, with a teacher, KL to its softened output."""

    def __init__(
        self, recipe: Recipe, frequencies: Tensor, total_steps: int, teacher: nn.Module | None
    ) -> None:
        super().__init__()
        self.recipe = recipe
        self.total_steps = total_steps
        classes = len(CAMVID)
        self.model = _build(recipe.model, classes).to(memory_format=torch.channels_last)
        balance = recipe.loss.class_balance
        weights = torch.ones(classes) if balance is None else enet_class_weights(frequencies, balance)
        self.register_buffer("class_weights", weights, persistent=False)
        # Held in a tuple so that it is no submodule: neither trained, averaged nor saved with the student.
        self._teacher = (teacher,)
        self._confusion = [MulticlassConfusionMatrix(classes, VOID_ID) for _ in recipe.data.val]

    def on_fit_start(self) -> None:
        for teacher in self._teacher:
            if teacher is not None:
                teacher.to(self.device)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.model(images)
        return logits

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        images, target = batch
        images = images.float().contiguous(memory_format=torch.channels_last)
        logits = self.model(images)
        spec = self.recipe.loss
        ce = cross_entropy(upsample(logits.float(), *target.shape[-2:]), target, VOID_ID, self.class_weights)
        loss = spec.cross_entropy * ce
        self.log("loss/cross_entropy", ce, prog_bar=True)
        small = F.interpolate(target[:, None].float(), size=logits.shape[-2:], mode="nearest")[:, 0].long()
        if spec.lovasz > 0:
            lovasz = lovasz_softmax(logits, small, VOID_ID)
            loss = loss + spec.lovasz * lovasz
            self.log("loss/lovasz", lovasz, prog_bar=True)
        (teacher,) = self._teacher
        if teacher is not None and spec.kl > 0:
            with torch.no_grad():
                hints = upsample(teacher(images).float(), *logits.shape[-2:])
            valid = small != VOID_ID
            kl = kl_divergence(logits, hints, spec.temperature, valid)
            loss = loss + spec.kl * kl
            self.log("loss/kl", kl, prog_bar=True)
        self.log("loss/total", loss)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], _: int, dataloader_idx: int = 0) -> None:
        images, target = batch
        logits = self.model(images.float().contiguous(memory_format=torch.channels_last))
        prediction = upsample(logits.float(), *target.shape[-2:]).argmax(1)
        self._confusion[dataloader_idx].to(prediction.device).update(prediction, target)

    def on_validation_epoch_end(self) -> None:
        for source, metric in zip(self.recipe.data.val, self._confusion, strict=True):
            iou = iou_from_confusion(metric.compute())
            metric.reset()
            self.log(f"miou/{source.name}", iou.nanmean(), prog_bar=True)
            for name, value in zip(CAMVID_NAMES, iou.tolist(), strict=True):
                self.log(f"iou/{source.name}/{name}", value)

    def configure_optimizers(self) -> dict[str, object]:
        spec = self.recipe.optimizer
        decayed = [p for p in self.model.parameters() if p.ndim > 1]
        plain = [p for p in self.model.parameters() if p.ndim <= 1]
        optimizer = torch.optim.AdamW(
            [{"params": decayed}, {"params": plain, "weight_decay": 0.0}],
            spec.lr,
            weight_decay=spec.weight_decay,
        )

        def factor(step: int) -> float:
            warm = min(1.0, (step + 1) / max(1, spec.warmup_steps))
            return warm * max(0.0, 1 - step / self.total_steps) ** spec.power

        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}
