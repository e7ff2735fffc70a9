"""Every distillation loss by its name in a recipe. A new one is a file and a line here."""

from __future__ import annotations

from training.distillation.losses.attention import Attention
from training.distillation.losses.base import Term
from training.distillation.losses.cirkd import Cirkd
from training.distillation.losses.cirkd_memory import CirkdMemory
from training.distillation.losses.cwd import Cwd
from training.distillation.losses.dist import Dist
from training.distillation.losses.dkd import Dkd
from training.distillation.losses.fgd import Fgd
from training.distillation.losses.heatmap import Heatmap
from training.distillation.losses.hint import Hint
from training.distillation.losses.ifvd import Ifvd
from training.distillation.losses.jaccard import Jaccard
from training.distillation.losses.kl import Kl
from training.distillation.losses.localization import Localization
from training.distillation.losses.logit_mse import LogitMse
from training.distillation.losses.mgd import Mgd
from training.distillation.losses.pairwise import Pairwise
from training.distillation.losses.pseudo_labels import PseudoLabels
from training.distillation.losses.soft_cross_entropy import SoftCrossEntropy

TERMS: dict[str, type[Term]] = {
    "pseudo_labels": PseudoLabels,
    "soft_cross_entropy": SoftCrossEntropy,
    "kl": Kl,
    "mse": LogitMse,
    "dkd": Dkd,
    "dist": Dist,
    "jaccard": Jaccard,
    "cwd": Cwd,
    "attention": Attention,
    "hint": Hint,
    "skd": Pairwise,
    "ifvd": Ifvd,
    "cirkd": Cirkd,
    "cirkd_memory": CirkdMemory,
    "heatmap": Heatmap,
    "localization": Localization,
    "mgd": Mgd,
    "fgd": Fgd,
}
