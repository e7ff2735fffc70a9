"""Logs over a resume and over stages."""

from pathlib import Path

from training.run_log import joined, keep_rows, new_logger, read_rows, write_rows


def test_a_resumed_log_keeps_whole_epochs_and_goes_on(tmp_path: Path) -> None:
    before = [
        {"step": 0, "epoch": 0, "loss/total": 3.5},
        {"step": 1, "epoch": 0, "miou/a": 0.25},
        {"step": 2, "epoch": 1, "loss/total": 2.5},
    ]
    write_rows(tmp_path, before)
    logger = new_logger(tmp_path)
    keep_rows(logger, tmp_path, epochs=1)
    assert read_rows(tmp_path) == before[:2]
    logger.log_metrics({"epoch": 1, "loss/total": 2.0, "new": 1.0}, step=2)
    assert read_rows(tmp_path) == [*before[:2], {"step": 2, "epoch": 1, "loss/total": 2.0, "new": 1.0}]


def test_a_row_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    write_rows(tmp_path, [{"step": 0, "epoch": 0, "loss/total": 3.5}])
    file = next(tmp_path.rglob("metrics.csv"))
    assert file.read_text().splitlines()[0] == "epoch,loss/total,step"
    file.write_text(file.read_text() + "1,2.")
    assert read_rows(tmp_path) == [{"step": 0, "epoch": 0, "loss/total": 3.5}]


def test_a_fresh_run_begins_with_an_empty_log(tmp_path: Path) -> None:
    write_rows(tmp_path, [{"step": 0, "epoch": 0, "loss/total": 3.5}])
    keep_rows(new_logger(tmp_path), tmp_path, epochs=0)
    assert read_rows(tmp_path) == []


def test_logs_of_stages_are_counted_on() -> None:
    first = [{"step": 0, "epoch": 0, "a": 1.0}, {"step": 7, "epoch": 1, "a": 2.0}]
    second = [{"step": 0, "epoch": 0, "a": 3.0}]
    assert joined([first, second, second]) == [
        *first,
        {"step": 8, "epoch": 2, "a": 3.0},
        {"step": 9, "epoch": 3, "a": 3.0},
    ]
