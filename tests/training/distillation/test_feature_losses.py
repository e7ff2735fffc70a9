"""Losses on feature maps against hand-worked numbers and loops written from the papers."""

import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
import yaml

import training
from tests.training.distillation.cases import PATH, VOID, feature_inputs, make_term, random_inputs
from training.distillation.inputs import DistillInputs
from training.distillation.losses.base import LOGITS
from training.distillation.losses.class_memory import ClassMemory
from training.recipe import load_recipe


def kl_of(q: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
    """KL(softmax(p) || softmax(q)) of vectors, by torch's own loss."""
    return F.kl_div(q.log_softmax(0), p.softmax(0), reduction="sum")


def maps(inputs: DistillInputs) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Student map, teacher map, valid, class of each cell (the teacher's answer where void)."""
    target = inputs.target[:, ::2, ::2]
    classes = torch.where(target == VOID, inputs.teacher.logits.argmax(1), target)
    return inputs.student_features[PATH], inputs.teacher_features[PATH], inputs.valid[:, ::2, ::2], classes


def test_cwd_equals_torch_kldivloss_over_valid_positions() -> None:
    inputs = random_inputs()
    student, teacher, valid, _ = maps(inputs)
    frames = [
        torch.stack([kl_of(s[c][v] / 4, t[c][v] / 4) for c in range(len(s))]).mean()
        for s, t, v in zip(student, teacher, valid, strict=True)
    ]
    assert make_term("cwd")(inputs).item() == pytest.approx(16 * torch.stack(frames).mean().item(), rel=1e-9)


def test_cwd_on_logits_needs_no_feature_maps() -> None:
    inputs = random_inputs()
    on_logits = make_term("cwd", student=LOGITS, teacher=LOGITS)(inputs)
    student, teacher = inputs.student.logits.log_softmax(1), inputs.teacher.logits.log_softmax(1)
    as_features = make_term("cwd")(feature_inputs(student, teacher, valid=inputs.valid))
    assert on_logits.item() == pytest.approx(as_features.item(), rel=1e-12)


def test_attention_of_two_positions_worked_by_hand() -> None:
    # |F|^2 = (3, 4) and (9, 0): (0.6, 0.8) against (1, 0): 0.16 + 0.64.
    student = torch.tensor([math.sqrt(3.0), -2.0]).view(1, 1, 1, 2)
    teacher = torch.tensor([3.0, 0.0]).view(1, 1, 1, 2)
    assert make_term("attention")(feature_inputs(student, teacher)).item() == pytest.approx(0.8, abs=1e-6)


def test_attention_of_the_first_power_worked_by_hand() -> None:
    # |F| = (3, 4) and (9, 0): again (0.6, 0.8) against (1, 0).
    student = torch.tensor([3.0, -4.0]).view(1, 1, 1, 2)
    teacher = torch.tensor([9.0, 0.0]).view(1, 1, 1, 2)
    found = make_term("attention", power=1.0)(feature_inputs(student, teacher))
    assert found.item() == pytest.approx(0.8, abs=1e-6)


def test_attention_compares_maps_of_different_channels() -> None:
    student = torch.tensor([3.0, 4.0]).sqrt().view(1, 1, 1, 2)
    teacher = torch.cat([student, student, student], dim=1)
    assert make_term("attention")(feature_inputs(student, teacher)).item() == pytest.approx(0, abs=1e-6)


def test_hint_is_torchs_mse_over_valid_positions() -> None:
    inputs = random_inputs()
    student, teacher, valid, _ = maps(inputs)
    expected = F.mse_loss(student.movedim(1, -1)[valid], teacher.movedim(1, -1)[valid])
    assert make_term("hint")(inputs).item() == pytest.approx(expected.item(), rel=1e-12)


def test_hint_compares_at_the_coarser_of_two_sizes() -> None:
    # Each 2 x 2 block of the finer map has the mean 1, 2: the bilinear value at its centre.
    finer = torch.tensor([[0.0, 2.0, 1.0, 3.0], [2.0, 0.0, 3.0, 1.0]]).view(1, 1, 2, 4)
    coarser = torch.tensor([1.0, 4.0]).view(1, 1, 1, 2)
    for student, teacher in ((finer, coarser), (coarser, finer)):
        assert make_term("hint")(feature_inputs(student, teacher)).item() == pytest.approx(2.0)


def test_skd_of_two_places_worked_by_hand() -> None:
    # Teacher's places orthogonal, student's alike: affinities differ by 1 in two of four entries.
    teacher = torch.eye(2).view(1, 2, 1, 2)
    student = torch.tensor([[1.0, 2.0], [1.0, 2.0]]).view(1, 2, 1, 2)
    assert make_term("skd")(feature_inputs(student, teacher)).item() == pytest.approx(0.5, abs=1e-6)


def test_skd_equals_cosines_of_all_valid_pairs() -> None:
    inputs = random_inputs()
    student, teacher, valid, _ = maps(inputs)
    squares = []
    for s, t, v in zip(student, teacher, valid, strict=True):
        places = v.flatten().nonzero()[:, 0].tolist()
        s, t = s.flatten(1), t.flatten(1)
        squares += [
            (F.cosine_similarity(s[:, i], s[:, j], 0) - F.cosine_similarity(t[:, i], t[:, j], 0)) ** 2
            for i in places
            for j in places
        ]
    assert make_term("skd")(inputs).item() == pytest.approx(torch.stack(squares).mean().item(), rel=1e-9)


def test_skd_pools_large_maps_to_its_grid_over_valid_pixels() -> None:
    torch.manual_seed(0)
    student, teacher = torch.randn(2, 1, 3, 4, 6, dtype=torch.float64)
    valid = torch.ones(1, 4, 6, dtype=torch.bool)
    valid[0, :2, 1] = False
    pooled = [
        torch.stack(
            [
                torch.stack(
                    [
                        x[0, :, r : r + 2, c : c + 3][:, valid[0, r : r + 2, c : c + 3]].mean(1)
                        for c in (0, 3)
                    ],
                    1,
                )
                for r in (0, 2)
            ],
            1,
        )[None]
        for x in (student, teacher)
    ]
    expected = make_term("skd", grid=2)(feature_inputs(*pooled))
    found = make_term("skd", grid=2)(feature_inputs(student, teacher, valid=valid))
    assert found.item() == pytest.approx(expected.item(), rel=1e-9)


def test_ifvd_equals_cosines_to_class_means() -> None:
    inputs = random_inputs()
    student, teacher, valid, classes = maps(inputs)
    squares = []
    for s, t, v, k in zip(student, teacher, valid, classes, strict=True):
        for row, column in v.nonzero().tolist():
            members = v & (k == k[row, column])
            similar = [F.cosine_similarity(x[:, row, column], x[:, members].mean(1), 0) for x in (s, t)]
            squares.append((similar[0] - similar[1]) ** 2)
    assert make_term("ifvd")(inputs).item() == pytest.approx(torch.stack(squares).mean().item(), rel=1e-9)


def test_cirkd_equals_kl_between_similarity_rows_of_every_frame_pair() -> None:
    inputs = random_inputs()
    student, teacher, valid, _ = maps(inputs)
    vectors = [
        [F.normalize(frame[:, v].T, dim=1) for frame, v in zip(x, valid, strict=True)]
        for x in (student, teacher)
    ]
    rows = [
        kl_of(vectors[0][n][i] @ vectors[0][m].T / 0.1, vectors[1][n][i] @ vectors[1][m].T / 0.1)
        for n in range(2)
        for i in range(len(vectors[0][n]))
        for m in range(2)
    ]
    assert make_term("cirkd")(inputs).item() == pytest.approx(torch.stack(rows).mean().item(), rel=1e-9)


def test_cirkd_draws_only_valid_pixels_and_close_to_the_whole() -> None:
    torch.manual_seed(0)
    student, teacher = torch.randn(2, 2, 8, 24, 24)
    valid = torch.ones(2, 24, 24, dtype=torch.bool)
    valid[:, :12] = False
    student[:, :, :12] = 1e3 * torch.randn(2, 8, 12, 24)
    inputs = feature_inputs(student, teacher, valid=valid)
    whole = make_term("cirkd", pixels=24 * 24)(inputs).item()
    drawn = [make_term("cirkd", pixels=200)(inputs).item() for _ in range(3)]
    assert drawn == pytest.approx([whole] * 3, rel=0.1)
    assert len(set(drawn)) == 3


def test_cirkd_memory_equals_kl_of_similarities_to_the_batchs_own_vectors() -> None:
    # First call: the memory holds this batch's pixels (all of them) and its class means by frame.
    inputs = random_inputs()
    student, teacher, valid, classes = maps(inputs)
    unit = [F.normalize(x, dim=1) for x in (student, teacher)]
    pixels = unit[1].movedim(1, -1)[valid]
    regions = torch.stack(
        [
            F.normalize(unit[1][n][:, valid[n] & (classes[n] == k)].mean(1), dim=0)
            for k in range(4)
            for n in range(2)
            if (valid[n] & (classes[n] == k)).any()
        ]
    )
    expected = 0.0
    for stored, weight in ((pixels, 2.0), (regions, 0.5)):
        rows = [
            kl_of(stored @ s / 0.1, stored @ t / 0.1)
            for s, t in zip(unit[0].movedim(1, -1)[valid], unit[1].movedim(1, -1)[valid], strict=True)
        ]
        expected += weight * torch.stack(rows).mean().item()
    term = make_term("cirkd_memory", pixel=2.0, region=0.5, new_pixels=100)
    assert term(inputs).item() == pytest.approx(expected, rel=1e-6)


def test_cirkd_memory_learns_only_in_training_mode_and_comes_back_from_a_checkpoint() -> None:
    term = make_term("cirkd_memory").eval()
    assert term(random_inputs(0)).item() == 0
    term.train()(random_inputs(0))
    stored = term.pixels.vectors().clone()
    term.eval()(random_inputs(1))
    assert torch.equal(term.pixels.vectors(), stored)
    again = make_term("cirkd_memory").eval()
    again.load_state_dict(term.state_dict())
    assert again(random_inputs(2)).item() == term(random_inputs(2)).item() > 0


def test_cirkd_memory_stores_a_region_for_each_class_of_each_frame_and_no_more() -> None:
    target = torch.tensor([[[0, 0, 1]], [[1, 1, 1]]])
    term = make_term("cirkd_memory")
    term(feature_inputs(torch.randn(2, 5, 1, 3).double(), torch.randn(2, 5, 1, 3).double(), target=target))
    assert term.regions.written.tolist() == [1, 2, 0, 0]
    assert term.pixels.written.tolist() == [2, 4, 0, 0]
    torch.testing.assert_close(term.regions.vectors().norm(dim=1), torch.ones(3).double())


def test_cirkd_memory_stores_a_few_pixels_of_each_class_however_many_there_are() -> None:
    """A road of thousands would push all that earlier batches showed out of the memory."""
    target = torch.zeros(2, 3, 4, dtype=torch.int64)
    target[0, 0, :2] = 1
    term = make_term("cirkd_memory", new_pixels=3)
    maps = torch.randn(2, 2, 5, 3, 4, dtype=torch.float64)
    term(feature_inputs(*maps, target=target))
    assert term.pixels.written.tolist() == [3, 2, 0, 0]


def test_class_memory_overwrites_the_oldest() -> None:
    memory = ClassMemory(classes=2, slots=3, channels=1)
    memory.push(1, torch.tensor([[1.0], [2.0]]))
    memory.push(0, torch.tensor([[9.0]]))
    memory.push(1, torch.tensor([[3.0], [4.0]]))
    assert memory.vectors().flatten().tolist() == [9.0, 4.0, 2.0, 3.0]


def test_mgd_is_the_mse_of_the_generated_map() -> None:
    inputs = random_inputs()
    student, teacher, valid, _ = maps(inputs)
    term = make_term("mgd")
    first, _, second = term.generation
    hidden = F.conv2d(student * valid[:, None], first.weight, first.bias, padding=1).relu()
    made = F.conv2d(hidden, second.weight, second.bias, padding=1)
    expected = F.mse_loss(made.movedim(1, -1)[valid], teacher.movedim(1, -1)[valid])
    assert term(inputs).item() == pytest.approx(expected.item(), rel=1e-9)


def test_the_ablation_weighs_mgd_as_its_paper_does() -> None:
    """2e-5 of the sum over channels and positions, which is our mean times their number."""
    root = Path(training.__file__).parents[1]
    ablation = yaml.safe_load((root / "training/recipes/ablation.yaml").read_text())
    teacher = load_recipe(root / "models/camvid_lite0/recipe.yaml")
    assert ablation["recipe"]["teacher"]["run"] == "runs/camvid_lite0"
    rows, columns = (side // 4 for side in ablation["recipe"]["data"]["augment"]["crop"])
    paper = 2e-5 * teacher.model.decoder.width * rows * columns
    (entry,) = (entry for entry in ablation["arms"]["mgd"] if entry["name"] == "mgd")
    assert entry["weight"] == pytest.approx(paper, rel=0.01)


def test_mgd_hides_its_share_of_positions_anew_at_each_step() -> None:
    # With the generator away and both maps 1 the error is 1 exactly where the student is hidden.
    torch.manual_seed(0)
    ones = torch.ones(1, 5, 100, 100, dtype=torch.float64)
    term = make_term("mgd", masked=0.65)
    term.generation = torch.nn.Identity()
    shares = [term(feature_inputs(ones, ones)).item() for _ in range(2)]
    assert shares == pytest.approx([0.65, 0.65], abs=0.02)
    assert shares[0] != shares[1]


def test_losses_by_class_follow_labels_and_else_the_teacher() -> None:
    # Two classes of one pixel each: every pixel is its own mean, as the teacher sees it; one class: not.
    student, teacher = torch.eye(2).view(1, 2, 1, 2), torch.tensor([[1.0, 1.0], [1.0, -1.0]]).view(1, 2, 1, 2)
    apart, together = torch.tensor([[[0, 1]]]), torch.tensor([[[0, 0]]])
    term = make_term("ifvd")
    assert term(feature_inputs(student, teacher, target=apart)).item() == pytest.approx(0, abs=1e-6)
    tilted = torch.tensor([[1.0, 1.0], [0.0, 1.0]]).view(1, 2, 1, 2)
    assert term(feature_inputs(student, tilted, target=together)).item() > 1e-3
    # No label: the teacher's logits (here its map) say class 0 and 1 for `eye`.
    assert term(feature_inputs(tilted, torch.eye(2).view(1, 2, 1, 2))).item() == pytest.approx(0, abs=1e-6)
