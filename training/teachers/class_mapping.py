"""From a teacher's classes to the student's: by names, and where names do not tell, by a table."""

from __future__ import annotations

import difflib
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from training.data.class_set import ClassSet
from training.data.class_sets import CLASS_SETS, label_mapping, mapping
from training.errors import TrainingError
from training.teachers.class_names import plain, spellings
from training.teachers.log_probs import LOG_ZERO

Table = Mapping[str, Sequence[str]]
_UNUSED = {"n a", ""}  # plain names of channels that mean nothing


@dataclass(frozen=True)
class ClassMapping:
    """For each student class the teacher's channels summed into it; none for a class it cannot say."""

    channels: tuple[tuple[int, ...], ...]

    @property
    def known(self) -> list[bool]:
        """For each student class, whether the teacher can say it."""
        return [bool(group) for group in self.channels]

    def log_probs(self, teacher: Tensor) -> Tensor:
        """Log-probabilities [N,K,...] -> [N,C,...]: log of the sums; `LOG_ZERO` where unknown."""
        floor = torch.full_like(teacher[:, 0], LOG_ZERO)
        groups = [teacher[:, list(g)].logsumexp(1) if g else floor for g in self.channels]
        return torch.stack(groups, 1).clamp(min=LOG_ZERO)

    def scores(self, teacher: Tensor, exclusive: bool) -> Tensor:
        """Scores of boxes [..., K] -> [..., T]; 0 where unknown.

        `exclusive`: the classes share one softmax, so that their probabilities add up; independent sigmoids
        are combined by their maximum.
        """
        zero = torch.zeros_like(teacher[..., 0])
        groups = [teacher[..., list(g)] for g in self.channels]
        merged = [g.sum(-1) if exclusive else g.amax(-1) if g.shape[-1] else zero for g in groups]
        return torch.stack(merged, -1)


def map_classes(
    teacher: Sequence[str], class_set: ClassSet, table: Table, place: str, things: bool = False
) -> ClassMapping:
    """Find the teacher's channels of each student class.

    What `table` does not say is found by names: through the data room's tables where the teacher's classes
    are those of a class set known there (Cityscapes' 19, COCO's 80, ...), else by equal names and synonyms.

    Args:
        teacher: the teacher's class names, by channel.
        class_set: the student's.
        table: student name -> teacher names, for classes whose names do not tell; an empty list says that the
            teacher does not know the class.
        place: where the table stands, for messages.
        things: map to the thing classes alone, for detection.

    Raises:
        TrainingError: a name that does not exist, a student class without counterpart that the table does
            not mention, or a teacher class that two student classes claim.
    """
    student = tuple(item.name for item in class_set.things) if things else class_set.names
    by_name: dict[str, list[int]] = {}
    for channel, name in enumerate(teacher):
        by_name.setdefault(plain(name), []).append(channel)
    what = "no thing class" if things and not set(table) <= set(student) else "no class"
    _require_names(table, student, f"{place}: the student has {what}", student)
    found = (
        _by_equal_names(teacher, student)
        or _by_class_sets(teacher, class_set, student, things)
        or _by_synonyms(teacher, student)
    )
    for name, wanted in table.items():
        _require_names(map(plain, wanted), by_name, f"{place}.{name}: the teacher has no class", teacher)
        found[name] = tuple(sorted({channel for item in wanted for channel in by_name[plain(item)]}))
    channels = [found.get(name, ()) for name in student]
    _require_counterparts(channels, teacher, student, table, place)
    _require_one_owner(channels, teacher, student, place)
    return ClassMapping(tuple(channels))


def _by_equal_names(teacher: Sequence[str], student: Sequence[str]) -> dict[str, tuple[int, ...]] | None:
    """None unless both have the very same classes."""
    same = len(teacher) == len(student) and set(teacher) == set(student)
    return {name: (teacher.index(name),) for name in student} if same else None


def _by_synonyms(teacher: Sequence[str], student: Sequence[str]) -> dict[str, tuple[int, ...]]:
    known = [spellings(item) for item in teacher]
    return {name: tuple(c for c, item in enumerate(known) if item & spellings(name)) for name in student}


def _by_class_sets(
    teacher: Sequence[str], class_set: ClassSet, student: Sequence[str], things: bool
) -> dict[str, tuple[int, ...]] | None:
    """By the tables between class sets; None if the teacher's classes are not those of a known set."""
    for source in CLASS_SETS.values():
        if (places := _places(source, teacher)) is not None:
            try:
                lut = label_mapping(source, class_set) if things else mapping(source, class_set)
            except TrainingError:  # nothing in common by the tables; names may tell more
                return None
            ids = {name: class_set.id_of(name) for name in student}
            return {
                name: tuple(sorted(c for c, item in places if lut[item] == target))
                for name, target in ids.items()
            }
    return None


def _places(source: ClassSet, teacher: Sequence[str]) -> list[tuple[int, int]] | None:
    """Channel and class id of each of the set's classes; None unless the teacher has each once and no others.

    In any order and spelling: of COCO's 80 there are lists with `motorbike` and `sofa`, and DETR's of 91 with
    `N/A` at the ids that COCO does not use.
    """
    known = {channel: spellings(name) for channel, name in enumerate(teacher) if plain(name) not in _UNUSED}
    places = [
        (channel, item.id)
        for item in source.classes
        for channel, names in known.items()
        if names & spellings(item.name)
    ]
    once = len(places) == len(source.names) == len(known) == len({channel for channel, _ in places})
    return places if once else None


def _near(name: str, names: Sequence[str]) -> str:
    by_plain = {plain(item): item for item in names}
    close = difflib.get_close_matches(plain(name), list(by_plain), n=3, cutoff=0.5)
    return f"did you mean {' or '.join(repr(by_plain[item]) for item in close)}?" if close else ""


def _require_names(wanted: Iterable[str], known: Container[str], what: str, names: Sequence[str]) -> None:
    for name in wanted:
        if name not in known:
            raise TrainingError(f"{what} '{name}' ({_near(name, names) or 'it has: ' + ', '.join(names)})")


def _require_counterparts(
    channels: Sequence[tuple[int, ...]],
    teacher: Sequence[str],
    student: Sequence[str],
    table: Table,
    place: str,
) -> None:
    lost = [name for name, group in zip(student, channels, strict=True) if not group and name not in table]
    if lost:
        hints = [f"{name} ({_near(name, teacher) or 'nothing near'})" for name in lost]
        raise TrainingError(
            f"{place}: no class of the teacher is called {', '.join(hints)}; add `{lost[0]}: "
            f"[TEACHER CLASS, ...]`, or `{lost[0]}: []` if it does not know it; the teacher has: "
            f"{', '.join(teacher)}"
        )


def _require_one_owner(
    channels: Sequence[tuple[int, ...]], teacher: Sequence[str], student: Sequence[str], place: str
) -> None:
    owner: dict[int, str] = {}
    for name, group in zip(student, channels, strict=True):
        for channel in group:
            if channel in owner:
                raise TrainingError(
                    f"{place}: the teacher's class '{teacher[channel]}' is claimed by both "
                    f"'{owner[channel]}' and '{name}'; give it to one of them in the table"
                )
            owner[channel] = name
