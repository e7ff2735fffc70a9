"""Tables as GitHub Markdown."""

from distill_perception.markdown import markdown_table


def test_names_go_to_the_left_and_numbers_to_the_right() -> None:
    lines = markdown_table(["run", "mIoU", "ms"], [("a", "0.5", "3"), ("b", "0.6", "4")]).split("\n")
    assert lines == [
        "| run | mIoU | ms |",
        "| --- | ---: | ---: |",
        "| a | 0.5 | 3 |",
        "| b | 0.6 | 4 |",
    ]


def test_more_columns_may_be_words() -> None:
    assert markdown_table(["key", "meaning"], [], left=2).split("\n")[1] == "| --- | --- |"


def test_a_bar_in_a_cell_is_no_new_column() -> None:
    assert markdown_table(["a|b"], [["c|d"]]).split("\n")[::2] == ["| a\\|b |", "| c\\|d |"]
