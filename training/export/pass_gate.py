"""The gate that a bundle passes before it is shipped: what torch says, in every form that runs here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from distill_perception.bundle import Bundle, Metric
from training.errors import GateError
from training.export.draft import frames_of
from training.export.evaluate import evaluate_engine
from training.export.forms import Form, judged_forms
from training.export.gate import ALL_SCORES, Budget, fp32_complaint, growing_error, judges, score_form
from training.export.graph import DeployedNet
from training.export.parity import Parity, measure_parity, require_parity
from training.export.parting import parting_layer
from training.export.torch_engine import TorchEngine
from training.recipe import Recipe

PARITY_FRAMES = 8


def pass_gate(
    bundle: Bundle, net: DeployedNet, recipe: Recipe, budget: Budget, command: str
) -> tuple[list[Parity], list[Metric]]:
    """Compare every form of a bundle with torch, and score it on the validation data.

    Args:
        net: what the bundle was made of. command: recorded with the scores.

    Raises:
        GateError: the engines do not agree with torch, or a reduced precision loses too much.
    """
    frames = np.stack(list(frames_of(recipe, recipe.data.val[:1], PARITY_FRAMES)))
    forms = judged_forms(bundle)
    parity = measure_parity(net, bundle, frames, forms)
    full = {form.name: form.engine for form in forms if form.precision == "fp32"}
    require_parity(
        [found for found in parity.values() if found.engine in full],
        lambda name: parting_layer(net, bundle.model_path("fp32"), frames[0], full[name]),
    )
    tied = any(found.tied for found in parity.values())
    scores = _scores(bundle, net, recipe, budget, command, forms, frames[0], tied)
    return list(parity.values()), scores


def _scores(
    bundle: Bundle,
    net: DeployedNet,
    recipe: Recipe,
    budget: Budget,
    command: str,
    forms: Sequence[Form],
    frame: NDArray[np.uint8],
    tied: bool,
) -> list[Metric]:
    """Scores by source and form, of the network in torch beside them; by class for fp32.

    Raises:
        GateError: fp32 scores otherwise than torch, or a reduced precision loses more than its budget (see
            `judges`).
    """
    metrics: list[Metric] = []

    def note(found: Mapping[str, float], data: str, names: Sequence[str] = ALL_SCORES) -> None:
        for name in (name for name in names if name in found):
            value = round(found[name], 4)
            metrics.append(Metric(name=name, value=value, data=data, command=command))

    scored = Form("onnxruntime", "fp32")  # by the judges already
    for judge in judges(bundle, recipe, budget):
        torch: dict[str, float] = {}
        if judge.full:
            note(judge.full, f"{judge.about}, {scored.name}", tuple(judge.full))
            torch = evaluate_engine(bundle, TorchEngine(net, bundle), judge.source, judge.name).values
            note(torch, f"{judge.about}, fp32 in torch")
        for form in forms:
            if form.precision == "fp32" and not judge.full:
                continue  # its own answers are the labels
            found = judge.full if form == scored else score_form(bundle, judge, form)
            if form != scored:
                note(found, f"{judge.about}, {form.name}")
            if form.precision == "fp32":
                if complaint := fp32_complaint(judge, form, found, torch, tied):
                    raise GateError(f"{complaint}. No bundle was written")
            elif complaint := judge.complaint(form.name, found):
                reasons = "; ".join(filter(None, (complaint, growing_error(bundle, form, frame))))
                raise GateError(
                    f"{reasons}. No bundle was written; the budgets are --max-drop and --max-map50-drop, of "
                    "compress --max-miou-drop and --max-map50-drop",
                    form.precision,
                )
    return metrics
