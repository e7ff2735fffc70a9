"""Accuracy over latency: what is drawn, and how."""

import re
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill_perception.compare.comparison import compare
from distill_perception.compare.errors import CompareError
from distill_perception.compare.figure import check_figure, draw
from distill_perception.compare.labels import Box, place_labels
from distill_perception.compare.points import Cloud, Point, cloud
from tests.compare.runs import write_run, write_seeds


def write_measured(root: Path) -> None:
    both = {"openvino, cpu, fp32": 10.0, "onnxruntime, cpu, fp32": 20.0}
    write_seeds(root, "labels", [0.70, 0.72], cost={"macs": 5_000_000_000, "latency_ms": both})
    write_seeds(root, "wide", [0.75], cost={"latency_ms": {"openvino, cpu, fp32": 30.0}})
    write_run(root / "unknown", 1, {"miou/camvid": 0.5})


def test_points_are_the_groups_means_over_the_engine_that_most_have(tmp_path: Path) -> None:
    write_measured(tmp_path)
    shown = cloud(compare([tmp_path], "labels"))
    assert shown.x_title == "latency, ms a frame (openvino, cpu, fp32)"
    points = {point.name: point for point in shown.points}
    assert (points["labels"].x, points["labels"].y) == (10.0, pytest.approx(0.71))
    assert points["labels"].sd == pytest.approx(0.0141421, abs=1e-6)
    assert points["labels"].baseline
    assert (points["wide"].x, points["wide"].sd, points["wide"].baseline) == (30.0, None, False)
    assert shown.left_out == ("unknown",)


def test_an_engine_can_be_chosen_by_the_start_of_its_name(tmp_path: Path) -> None:
    write_measured(tmp_path)
    shown = cloud(compare([tmp_path]), "onnx")
    assert [(point.name, point.x) for point in shown.points] == [("labels", 20.0)]
    with pytest.raises(CompareError, match="no run measured engine 'tensorrt'; measured: onnxruntime, cpu"):
        cloud(compare([tmp_path]), "tensorrt")


def test_without_latency_multiply_adds_are_the_axis(tmp_path: Path) -> None:
    write_seeds(tmp_path, "a", [0.7], cost={"macs": 5_100_000_000})
    shown = cloud(compare([tmp_path]))
    assert shown.x_title == "multiply-adds of a frame, G"
    assert shown.points[0].x == pytest.approx(5.1)


def test_without_any_cost_there_is_no_figure(tmp_path: Path) -> None:
    write_seeds(tmp_path, "a", [0.7])
    with pytest.raises(CompareError, match=r"no run folder has a model\.json"):
        cloud(compare([tmp_path]))


@pytest.fixture
def shown(tmp_path: Path) -> Cloud:
    write_measured(tmp_path / "runs")
    return cloud(compare([tmp_path / "runs"], "labels"))


def test_svg_holds_names_axes_and_is_the_same_each_time(shown: Cloud, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    draw(shown, tmp_path / "new" / "a.svg")
    draw(shown, tmp_path / "b.svg")
    assert (tmp_path / "b.svg").read_bytes() == (tmp_path / "new" / "a.svg").read_bytes()
    words = " ".join(ElementTree.parse(tmp_path / "new" / "a.svg").getroot().itertext())
    for text in ("labels (baseline)", "wide", "miou/camvid", "latency, ms a frame"):
        assert text in words


def test_a_tenth_of_a_point_of_accuracy_does_not_look_large(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    points = (Point("a", 10, 0.742, None, False), Point("b", 12, 0.743, None, False))
    draw(Cloud("ms", "mIoU", points, ()), tmp_path / "a.svg")
    words = " ".join(ElementTree.parse(tmp_path / "a.svg").getroot().itertext())
    ticks = sorted({float(number) for number in re.findall(r"0\.7\d+", words)})
    assert ticks[-1] - ticks[0] > 0.01


def test_spreads_are_drawn_whole(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    points = (Point("a", 10, 0.700, 0.05, False), Point("b", 12, 0.705, 0.04, False))
    draw(Cloud("ms", "mIoU", points, ()), tmp_path / "a.svg")
    words = " ".join(ElementTree.parse(tmp_path / "a.svg").getroot().itertext())
    ticks = [float(number) for number in re.findall(r"0\.[67]\d*", words)]
    assert min(ticks) <= 0.66
    assert max(ticks) >= 0.74


def test_nothing_to_draw_is_said(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    with pytest.raises(CompareError, match="nothing to draw"):
        draw(Cloud("ms", "mIoU", (), ("a",)), tmp_path / "a.svg")


def test_png_is_a_picture_of_some_size(shown: Cloud, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    cv2 = pytest.importorskip("cv2")
    draw(shown, tmp_path / "a.png")
    picture = cv2.imread(str(tmp_path / "a.png"))
    assert min(picture.shape[:2]) > 500
    assert (picture != 255).any(axis=2).mean() > 0.005


def test_without_matplotlib_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(CompareError, match="pip install matplotlib"):
        check_figure(Path("a.png"))


def test_unknown_file_types_are_refused() -> None:
    with pytest.raises(CompareError, match=r"a\.gif: figures are written as \.png, \.svg, \.pdf"):
        check_figure(Path("a.gif"))


@given(st.lists(st.tuples(st.integers(100, 700), st.integers(100, 500)), min_size=1, max_size=12))
def test_names_cover_neither_each_other_nor_points(points: list[tuple[int, int]]) -> None:
    width, height, gap = 60.0, 14.0, 5.0
    offsets = place_labels(points, [(width, height)] * len(points), Box(0, 0, 800, 600), gap)
    boxes = [
        Box(x + dx, y + dy - height / 2, x + dx + width, y + dy + height / 2)
        for (x, y), (dx, dy) in zip(points, offsets, strict=True)
    ]
    for index, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[index + 1 :])
        assert not any(box.left < x < box.right and box.bottom < y < box.top for x, y in points)
        assert box.inside(Box(0, 0, 800, 600))
