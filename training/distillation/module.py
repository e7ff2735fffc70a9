"""The training step and the validation of a student (or teacher) as a Lightning module."""

from __future__ import annotations

import math

import lightning as L
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.compression.fake_quant import RANGE
from training.compression.pruning.masks import keep_zeros
from training.data.class_set import ClassSet
from training.data.sample import Batch
from training.distillation.composite import DistillationLoss
from training.distillation.depthwise import DepthwiseInFloat
from training.distillation.inputs import DistillInputs
from training.distillation.label_losses import label_losses, label_weights
from training.distillation.losses import enet_class_weights
from training.distillation.maps import mostly_foreign, nearest
from training.distillation.processes import shard_teacher
from training.errors import TrainingError
from training.evaluation.evaluator import Evaluator
from training.evaluation.score_batch import score_batch
from training.models.multi_task import MultiTaskNet
from training.models.outputs import Outputs
from training.models.shapes import read_shapes
from training.recipe import Recipe
from training.run_folder import build_model, load_model
from training.teachers.base import Teacher
from training.teachers.cache.recall import Recall


def start_model(recipe: Recipe, class_set: ClassSet) -> MultiTaskNet:
    """The network as the recipe starts it: from ImageNet, from scratch, or from an earlier run.

    A head that the earlier run lacks starts from scratch, and ranges of simulated INT8 that it lacks do;
    everything else must fit. From a pruned run it starts with the pruned shapes.

    Raises:
        TrainingError: the earlier run is not finished or has another shape.
    """
    if recipe.model.init is None:
        return build_model(recipe.model, class_set)
    earlier_recipe, earlier = load_model(recipe.model.init)
    shapes = read_shapes(recipe.model.init)
    if shapes is not None and (changed := recipe.model.other_network(earlier_recipe.model)):
        raise TrainingError(
            f"model.init: {recipe.model.init} is pruned, so {', '.join(changed)} must be as in its recipe"
        )
    model = build_model(recipe.model.model_copy(update={"pretrained": False}), class_set, shapes)
    heads = ("head", "detection_head")
    new = [f"{head}." for head in heads if getattr(earlier, head) is None and getattr(model, head)]
    start = {name: value for name, value in earlier.state_dict().items() if name in model.state_dict()}
    fresh = model.state_dict().items()
    start |= {name: value for name, value in fresh if name.startswith(tuple(new))}
    start |= {name: value for name, value in fresh if name.endswith(f".{RANGE}") and name not in start}
    try:
        model.load_state_dict(start)
    except RuntimeError as error:
        text = f"model.init: {recipe.model.init} does not fit the recipe's model: {error}"
        raise TrainingError(text) from error
    if recipe.model.keep_zeros:
        keep_zeros(model)
    return model


class Aside:
    """Holds a network that is no part of its holder: not trained, averaged, saved, nor copied with it."""

    def __init__(self, network: Teacher | Recall | None) -> None:
        self.network = network

    def __deepcopy__(self, _: dict[int, object]) -> Aside:
        return self


class DistillationModule(L.LightningModule):
    """Losses on labels plus, with a teacher, the recipe's distillation losses.

    What a step draws at random depends on seed, epoch, batch and process alone, so a resumed run goes on as
    one that was never stopped. In several processes each loss is weighed by what its mean is over, pixels,
    frames or objects; losses that relate pixels or frames see those of their process only.

    Args:
        model: what is trained, see `start_model`.
        frequencies: float [C], share of each class among the labelled pixels.
        total_steps: optimizer steps of the whole training.
        teacher: asked in every step; or what finds its answers in the batch.
        shards_teacher: share out the teacher's weights among the processes.
    """

    def __init__(
        self,
        recipe: Recipe,
        class_set: ClassSet,
        model: MultiTaskNet,
        frequencies: Tensor,
        total_steps: int,
        teacher: Teacher | Recall | None,
        shards_teacher: bool = False,
    ) -> None:
        super().__init__()
        self.recipe, self.class_set, self.total_steps = recipe, class_set, total_steps
        self.model = model.to(memory_format=torch.channels_last)
        balance = recipe.loss.class_balance
        weights = (
            torch.ones(len(class_set.classes))
            if balance is None
            else enet_class_weights(frequencies, balance)
        )
        self.register_buffer("class_weights", weights, persistent=False)
        self._teacher, self._shards_teacher = Aside(teacher), shards_teacher
        self.distillation: DistillationLoss | None = None
        if teacher is not None and recipe.distillation:
            seen = teacher.example() if isinstance(teacher, Recall) else teacher
            self.distillation = DistillationLoss(
                recipe.distillation, self.model, seen, len(class_set.classes), recipe.data.augment.crop
            )
        self._evaluators: list[Evaluator] = []

    def on_fit_start(self) -> None:
        teacher = self._teacher.network
        if isinstance(teacher, Teacher) and self._shards_teacher:
            shard_teacher(teacher, self.device)
        elif isinstance(teacher, Teacher):
            teacher.to(self.device)

    def on_train_epoch_start(self) -> None:
        if self.recipe.model.freeze_norm:
            for module in self.model.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        place = (self.recipe.seed % 2**32, self.current_epoch, batch_idx, self.global_rank)
        torch.manual_seed(int(np.random.SeedSequence(place).generate_state(1)[0]))

    def forward(self, images: Tensor) -> Outputs:
        out: Outputs = self.model(images)
        return out

    def training_step(self, batch: Batch, _: int) -> Tensor:
        loss, terms = self.losses(batch)
        several = self.trainer.world_size > 1
        for name, value in terms.items():
            self.log(f"loss/{name}", value.detach(), prog_bar=True, sync_dist=several, batch_size=len(batch))
        self.log("loss/total", loss.detach(), sync_dist=several, batch_size=len(batch))
        return loss

    def losses(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """What is minimized, and each unweighted term by name."""
        images = batch.images.float().contiguous(memory_format=torch.channels_last)
        with DepthwiseInFloat():
            out = self.model(images)
        loss, terms = label_losses(
            self.recipe.loss, out, batch, self.class_set.void_id, self.class_weights, self.model.things
        )
        if self.distillation is not None:
            inputs = self._inputs(images, out, batch)
            distilled, more = self.distillation(inputs)
            loss = loss + distilled
            terms |= {f"distill_{name}": value for name, value in more.items()}
        return loss, terms

    def loss_weights(self, progress: float) -> dict[str, float]:
        """What each term of `losses` is multiplied by after that part of the training, 0..1."""
        weights = label_weights(self.recipe.loss)
        if self.distillation is not None:
            for name, term in self.distillation.terms.items():
                weights[f"distill_{name}"] = term.spec.weight.at(progress)
        return weights

    def _inputs(self, images: Tensor, out: Outputs, batch: Batch) -> DistillInputs:
        teacher = self._teacher.network
        assert teacher is not None
        # Void within a labelled frame is mostly padding; of a frame without labels all its own pixels count.
        seen = batch.masks != self.class_set.void_id
        if batch.inside is not None:
            seen |= batch.inside
        if isinstance(teacher, Recall):
            assert batch.answers is not None
            hints = teacher.outputs(batch.answers, *images.shape[-2:])
            seen &= nearest(batch.answers.answered, (images.shape[-2], images.shape[-1]))
        else:
            with torch.no_grad():
                hints = teacher(images)
        valid = seen.clone()
        if teacher.known is not None:  # whatever it says of a class that it never learnt is wrong
            known = F.pad(teacher.known.to(valid.device), (0, 256 - len(teacher.known)), value=True)
            valid &= known[batch.masks]
        if hints.logits is not None:  # what is most likely none of the student's classes teaches none of them
            valid &= ~mostly_foreign(hints.logits, (images.shape[-2], images.shape[-1]))
        return DistillInputs(
            student=out,
            teacher=hints,
            target=batch.masks,
            valid=valid,
            void_id=self.class_set.void_id,
            boxes=batch.boxes,
            has_boxes=batch.has_boxes,
            known=teacher.known,
            known_things=teacher.known_things,
            seen=seen,
            progress=min(1.0, self.global_step / max(1, self.total_steps)),
        )

    def on_validation_epoch_start(self) -> None:
        # Contours and calibration cost more than the network itself: the last epoch's are enough.
        thorough = self.current_epoch + 1 >= self.recipe.optimizer.epochs
        self._evaluators = [
            Evaluator(
                self.class_set.classes, self.class_set.void_id, self.recipe.model.tasks, thorough=thorough
            )
            for _ in self.recipe.data.val
        ]

    def validation_step(self, batch: Batch, _: int, dataloader_idx: int = 0) -> None:
        most = self.recipe.model.detection.max_detections
        # As it will be deployed: in bfloat16 neighbouring scores tie, and each tie is one more detection.
        with torch.autocast(self.device.type, enabled=False):
            score_batch(self._evaluators[dataloader_idx], self.model, batch, most)

    def on_validation_epoch_end(self) -> None:
        several = self.trainer.world_size > 1  # then all have scored the same frames
        for source, evaluator in zip(self.recipe.data.val, self._evaluators, strict=True):
            for name, value in evaluator.compute(source.name).items():
                shown = name.startswith(("miou/", "map50/")) and not math.isnan(value)
                self.log(name, value, prog_bar=shown, sync_dist=several)

    def configure_optimizers(self) -> dict[str, object]:
        spec = self.recipe.optimizer
        trained = [p for p in self.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(
            [
                {"params": [p for p in trained if p.ndim > 1]},
                {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
            ],
            spec.lr,
            weight_decay=spec.weight_decay,
        )

        def factor(step: int) -> float:
            warm = min(1.0, (step + 1) / max(1, spec.warmup_steps))
            left = max(0.0, 1 - step / self.total_steps)
            if spec.schedule == "cosine":
                return warm * 0.5 * (1 - math.cos(math.pi * left))
            return float(warm * left**spec.power)

        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}
