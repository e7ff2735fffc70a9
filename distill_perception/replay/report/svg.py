"""The few SVG elements that the charts are made of; colours come from the page's style sheet."""

from __future__ import annotations

from html import escape

import numpy as np


def element(name: str, content: str = "", **attributes: object) -> str:
    """An SVG element; `class_` becomes class, underscores become dashes, numbers are shortened."""
    pairs = (f' {key.rstrip("_").replace("_", "-")}="{_value(value)}"' for key, value in attributes.items())
    return f"<{name}{''.join(pairs)}>{content}</{name}>"


def _value(value: object) -> str:
    return (
        f"{value:.2f}".rstrip("0").rstrip(".")
        if isinstance(value, (float, np.floating))
        else escape(str(value))
    )


def text(x: float, y: float, words: str, kind: str = "", anchor: str = "start", **attributes: object) -> str:
    """A line of text; anchor is start, middle or end."""
    return element("text", escape(words), x=x, y=y, class_=kind, text_anchor=anchor, **attributes)


def rect(
    x: float, y: float, width: float, height: float, kind: str, hint: str = "", **attributes: object
) -> str:
    """A rectangle with a tooltip."""
    content = element("title", escape(hint)) if hint else ""
    return element(
        "rect", content, x=x, y=y, width=max(0.0, width), height=max(0.0, height), class_=kind, **attributes
    )


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """A straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=kind)


def canvas(width: float, height: float, content: str, label: str) -> str:
    """The SVG itself, scaling with the page. label: what a screen reader says."""
    return element(
        "svg",
        content,
        viewBox=f"0 0 {width:g} {height:g}",
        role="img",
        aria_label=label,
        xmlns="http://www.w3.org/2000/svg",
    )


def nice_ticks(top: float, count: int = 4) -> list[float]:
    """Round numbers from 0 to at least `top`.

    >>> nice_ticks(17.0)
    [0.0, 5.0, 10.0, 15.0, 20.0]
    """
    if not top > 0:
        return [0.0, 1.0]
    raw = top / count
    power = 10.0 ** np.floor(np.log10(raw))
    step = next(float(m * power) for m in (1, 2, 2.5, 5, 10) if m * power >= raw * 0.999)
    return [round(index * step, 10) for index in range(int(np.ceil(top / step - 1e-9)) + 1)]
