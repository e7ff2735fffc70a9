"""Log-probabilities that may lack mass: resizing and mixing keep what probabilities keep."""

import torch
import torch.nn.functional as F

from tests.training.teachers.fakes import resize
from training.teachers.log_probs import LOG_ZERO, missing_mass, mix


def test_missing_mass_is_what_the_classes_leave() -> None:
    log_probs = torch.tensor([[0.5, 0.2], [0.25, 0.75]]).log()[..., None, None]
    expected = torch.tensor([0.3, 0.0])
    torch.testing.assert_close(missing_mass(log_probs).exp().flatten(), expected, atol=1e-6, rtol=0)


def test_full_distributions_are_resized_as_logits_are() -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 5, 6, 8) * 5
    # 19 rows of 6 are no whole stride, which would stay where it is instead of being stretched.
    expected = F.interpolate(logits, (19, 23), mode="bilinear", align_corners=False).softmax(1)
    torch.testing.assert_close(resize(logits.log_softmax(1), 19, 23).exp(), expected, atol=1e-5, rtol=1e-4)


def test_resizing_keeps_missing_mass_where_all_neighbours_lack_it() -> None:
    log_probs = torch.full((1, 2, 4, 4), 0.2).log()
    torch.testing.assert_close(resize(log_probs, 9, 9).exp().sum(1), torch.full((1, 9, 9), 0.4))


def test_mix_is_the_weighted_mean_of_probabilities() -> None:
    torch.manual_seed(0)
    a, b = torch.randn(2, 1, 4, 3, 3).log_softmax(2)
    shares = torch.tensor([[0.75] * 4, [0.25] * 4])
    torch.testing.assert_close(mix([a, b], shares).exp(), 0.75 * a.exp() + 0.25 * b.exp())


def test_classes_that_one_member_does_not_know_are_the_others() -> None:
    # One knows road and sky, the other also pole; both are sure, of road and of pole.
    one = torch.tensor([0.99, 0.01, 0.0]).log().clamp(min=LOG_ZERO).view(1, 3, 1, 1)
    two = torch.tensor([0.01, 0.01, 0.98]).log().view(1, 3, 1, 1)
    shares = torch.tensor([[0.5, 0.5, 0.0], [0.5, 0.5, 1.0]])
    # 0.5, 0.01 and 0.98 claim 1.49 between them.
    expected = torch.tensor([0.5, 0.01, 0.98]) / 1.49
    torch.testing.assert_close(mix([one, two], shares).exp().flatten(), expected)
