"""The report's charts by themselves."""

import xml.etree.ElementTree as ET
from collections.abc import Iterator

import numpy as np
import pytest

from distill_perception.bundle import ClassInfo
from distill_perception.replay.evaluation import ScoredFrame
from distill_perception.replay.recording import FrameResult
from distill_perception.replay.report import charts
from distill_perception.replay.report.svg import nice_ticks
from tests.support.tiny_bundle import CLASSES

SVG = "{http://www.w3.org/2000/svg}"


def texts(svg: str) -> list[str]:
    """The words of a drawing; fails if it is not well-formed XML."""
    return [item.text or "" for item in ET.fromstring(svg).iter(f"{SVG}text")]


def drawn(svg: str, shape: str, kind: str) -> list[ET.Element]:
    """The shapes of a class, in the order in which they are drawn."""
    return [item for item in ET.fromstring(svg).iter(f"{SVG}{shape}") if item.get("class") == kind]


def numbers(items: list[ET.Element], name: str) -> list[float]:
    return [float(item.get(name, "nan")) for item in items]


def test_bars_are_as_long_as_their_values() -> None:
    root = ET.fromstring(charts.class_bars(CLASSES, {"red": 0.5, "green": 1.0}, 0.75, "IoU"))

    tracks = [float(item.get("width", 0)) for item in root.iter(f"{SVG}rect") if item.get("class") == "track"]
    bars = [float(item.get("width", 0)) for item in root.iter(f"{SVG}rect") if item.get("class") == "bar"]
    assert bars == pytest.approx([0.5 * tracks[0], tracks[1]])
    assert "does not occur" in [item.text for item in root.iter(f"{SVG}text")]  # blue


def test_bars_have_their_classes_colours_and_the_mean_lies_on_their_scale() -> None:
    bars = charts.class_bars(CLASSES, {"red": 0.5, "green": 1.0}, 0.75, "IoU")

    assert [item.get("fill") for item in drawn(bars, "rect", "bar")] == ["#ff0000", "#00ff00"]
    (mean,) = numbers(drawn(bars, "line", "mean"), "x1")
    assert mean == numbers(drawn(bars, "line", "grid"), "x1")[2]  # of 0.25, 0.5, 0.75, 1


def test_the_confusion_matrix_tells_hits_from_misses() -> None:
    matrix = np.array([[75, 25, 0], [0, 10, 0], [0, 0, 0]])
    hits, misses = (
        [item.findtext(f"{SVG}title") for item in drawn(charts.confusion(CLASSES, matrix), "rect", kind)]
        for kind in ("hit", "miss")
    )

    assert hits[0] == "labelled red, perceived red: 75.0% (75 pixels)"
    assert misses[0] == "labelled red, perceived green: 25.0% (25 pixels)"
    assert (len(hits), len(misses)) == (3, 6)


def test_the_confusion_matrix_shows_percent_of_the_labelled_pixels() -> None:
    matrix = np.array([[75, 25, 0], [0, 10, 0], [0, 0, 0]])

    words = texts(charts.confusion(CLASSES, matrix))

    assert [word for word in words if word.isdigit()] == ["75", "25", "100"]


def test_names_are_escaped() -> None:
    odd = (ClassInfo(id=0, name="<b>&\"'", color=(1, 2, 3), kind="stuff"),)

    assert "<b>&\"'" in texts(charts.class_bars(odd, {"<b>&\"'": 0.5}, None, "IoU"))


def test_every_sample_is_in_the_histogram() -> None:
    samples = np.concatenate([np.full(50, 2.0), np.full(49, 3.0), [90.0]])
    root = ET.fromstring(charts.histogram(samples, 2.5, 3.0))

    hints = [item.findtext(f"{SVG}title") or "" for item in root.iter(f"{SVG}rect")]
    assert sum(int(hint.split(": ")[1].split()[0]) for hint in hints) == 100


def test_the_histogram_marks_median_and_95th_percentile_where_they_lie() -> None:
    svg = charts.histogram(np.concatenate([np.full(50, 2.0), np.full(50, 6.0)]), 4.0, 6.0)

    scale = {item.text: float(item.get("x", "nan")) for item in drawn(svg, "text", "tick")}
    per_ms = (scale["5"] - scale["0"]) / 5
    assert numbers(drawn(svg, "line", "p50"), "x1") == pytest.approx([4 * per_ms], rel=1e-3)
    assert numbers(drawn(svg, "line", "p95"), "x1") == pytest.approx([6 * per_ms], rel=1e-3)
    bars = drawn(svg, "rect", "hist")
    assert len(set(numbers(bars, "height"))) == 1  # as many of each
    assert min(numbers(bars, "y")) >= 0


def test_stages_take_the_share_of_the_bar_that_they_take_of_the_time() -> None:
    svg = charts.stage_shares({"queue": 5.0, "inference": 30.0, "publish": 5.0})

    width = float(ET.fromstring(svg).get("viewBox", "").split()[2])
    stages = [drawn(svg, "rect", f"stage s{index}")[0] for index in range(3)]
    assert numbers(stages, "x") == pytest.approx([0, width / 8, width * 7 / 8], abs=0.1)
    assert stages[1].findtext(f"{SVG}title") == "inference: 30.00 ms of 40.00 ms"
    ends = [x + wide for x, wide in zip(numbers(stages, "x"), numbers(stages, "width"), strict=True)]
    assert ends == pytest.approx([width / 8, width * 7 / 8, width], abs=3)


def frames_of(*rows: tuple[float, float | None, float | None]) -> list[ScoredFrame]:
    """Frames: when sent, in s; answered after ms (None: dropped; 0: it is not known); mean IoU."""
    return [
        ScoredFrame(
            FrameResult(("/cam", index), sent_s, ms is not None, (), {"end_to_end": ms} if ms else {}), miou
        )
        for index, (sent_s, ms, miou) in enumerate(rows)
    ]


def test_over_time_a_slower_frame_is_higher_a_later_one_further_right_and_a_drop_at_its_moment() -> None:
    svg = charts.timeline(frames_of((0.0, 5.0, None), (4.0, None, None), (8.0, 20.0, None), (6.0, 0.0, None)))

    dots = drawn(svg, "circle", "dot")  # of an answer that took no known time there is none
    (left, right), (quick, slow) = numbers(dots, "cx"), numbers(dots, "cy")
    zero, *_, top = numbers(drawn(svg, "line", "grid"), "y1")  # of 0, 10 and 20 ms
    assert slow == pytest.approx(top, abs=0.1)
    assert quick == pytest.approx(zero + (top - zero) / 4, abs=0.1)
    (drop,) = drawn(svg, "rect", "drop")
    assert float(drop.get("x", "nan")) + 1 == pytest.approx((left + right) / 2, abs=0.1)
    assert left < right < float(ET.fromstring(svg).get("viewBox", "").split()[2])


def test_over_time_the_quality_is_that_of_labelled_frames() -> None:
    svg = charts.quality_line(frames_of((0.0, 5.0, 0.5), (1.0, 5.0, None), (2.0, 5.0, 1.0)))

    zero, *_, top = numbers(drawn(svg, "line", "grid"), "y1")
    assert numbers(drawn(svg, "circle", "dot"), "cy") == pytest.approx([(zero + top) / 2, top], abs=0.1)


def test_the_timeline_marks_drops_and_takes_any_length() -> None:
    def frames(count: int) -> Iterator[ScoredFrame]:
        for index in range(count):
            times = {} if index == 1 else {"end_to_end": 5.0 + index}
            yield ScoredFrame(FrameResult(("/cam", index), 0.1 * index, index != 1, (), times), None)

    for count in (0, 1, 2, 500):
        root = ET.fromstring(charts.timeline(list(frames(count))))
        drops = [item for item in root.iter(f"{SVG}rect") if item.get("class") == "drop"]
        assert len(drops) == (count > 1)


@pytest.mark.parametrize(
    ("top", "ticks"), [(0.0, [0, 1]), (17, [0, 5, 10, 15, 20]), (0.3, [0, 0.1, 0.2, 0.3])]
)
def test_ticks_are_round_and_reach_the_top(top: float, ticks: list[float]) -> None:
    assert nice_ticks(top) == pytest.approx(ticks)
