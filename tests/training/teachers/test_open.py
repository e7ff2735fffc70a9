"""From a recipe's `teacher:` section to a frozen network."""

from pathlib import Path

import pytest
import torch

from tests.support.tiny_training import tiny_recipe, write_color_blocks
from tests.training.teachers.fakes import resize
from training.data.class_sets import CLASS_SETS
from training.errors import TrainingError
from training.run_folder import build_model, load_model, start_run, write_result
from training.teachers.cache.teacher import CachedTeacher
from training.teachers.open import open_teacher
from training.teachers.spec import TeacherSpec

CAMVID = CLASS_SETS["camvid"]
IMAGES = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0)) * 255


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder as training leaves it, with random weights."""
    root = tmp_path_factory.mktemp("run")
    folder = write_color_blocks(root / "blocks", 1)
    recipe = tiny_recipe(folder, folder)
    start_run(root / "run", recipe)
    torch.manual_seed(0)
    state = build_model(recipe.model, CAMVID).state_dict()
    (root / "run" / "checkpoints").mkdir()
    saved = {"state_dict": {f"model.{name}": value for name, value in state.items()}}
    torch.save(saved, root / "run" / "checkpoints" / "last.ckpt")
    write_result(root / "run", 2, 0.1, {})
    return root / "run"


def test_a_run_says_what_its_network_says(run: Path) -> None:
    teacher = open_teacher(TeacherSpec(run=run), CAMVID)
    logits = load_model(run)[1](IMAGES).logits
    assert logits is not None
    torch.testing.assert_close(teacher(IMAGES).logits, logits.detach().log_softmax(1))
    assert not any(parameter.requires_grad for parameter in teacher.parameters())
    assert not teacher.train().training


def test_an_ensemble_of_run_and_checkpoint_with_its_cache(run: Path, tmp_path: Path) -> None:
    pytest.importorskip("transformers", reason="HF teachers NOT TESTED: pip install transformers")
    from tests.training.teachers import tiny_checkpoints as tiny

    folder = tiny.segformer(tmp_path / "checkpoint", tiny.CITYSCAPES)
    checkpoint = {"huggingface": str(folder), "size": "image"}
    section = {"ensemble": [{"run": run, "weight": 3}, checkpoint], "cache": tmp_path / "cache"}
    both = open_teacher(TeacherSpec.model_validate(section), CAMVID)
    assert isinstance(both, CachedTeacher)
    parts = [
        open_teacher(TeacherSpec.model_validate(spec), CAMVID)(IMAGES).logits
        for spec in ({"run": run}, checkpoint)
    ]
    one, two = (resize(part, 16, 24).exp() for part in parts)
    torch.testing.assert_close(both(IMAGES).logits.exp(), 0.75 * one + 0.25 * two, atol=1e-5, rtol=1e-4)
    assert (both.store.folder / "teacher.json").is_file()


def test_a_member_whose_classes_lack_a_counterpart_is_told_where_its_mapping_stands(
    run: Path, tmp_path: Path
) -> None:
    pytest.importorskip("transformers", reason="HF teachers NOT TESTED: pip install transformers")
    from tests.training.teachers import tiny_checkpoints as tiny

    folder = tiny.segformer(tmp_path, ("road", "lorry"))
    section = {"ensemble": [{"run": run}, {"huggingface": str(folder)}]}
    with pytest.raises(TrainingError, match=r"^teacher\.ensemble\.1\.mapping: no class of the teacher"):
        open_teacher(TeacherSpec.model_validate(section), CAMVID)


def test_the_cache_tells_weights_and_settings_apart(run: Path, tmp_path: Path) -> None:
    def folder_of(**section: object) -> str:
        spec = TeacherSpec.model_validate({"run": run, "cache": tmp_path, **section})
        teacher = open_teacher(spec, CAMVID)
        assert isinstance(teacher, CachedTeacher)
        return teacher.store.folder.name

    plain = folder_of()
    assert folder_of() == plain
    assert folder_of(tta={"flip": True}) != plain
    assert folder_of(mapping={"car": []}) != plain
