"""Where the installed data lies: bundles, launch files, parameters, interface definitions."""

import sys
from collections.abc import Iterator
from pathlib import Path

from .errors import ConfigError

PACKAGE = "distill_perception"


def share_path(*parts: str) -> Path:
    """Find installed data, e.g. `share_path("models")` or `share_path("config", "perception.yaml")`.

    The checkout that the running code belongs to comes first, so that code and data cannot differ; then the
    ament index (a sourced colcon workspace), then `share/distill_perception` of the installation.

    Raises:
        ConfigError: nothing of that name in any of these places.
    """
    roots = list(dict.fromkeys(_roots()))
    for root in roots:
        path = root.joinpath(*parts)
        if path.exists():
            return path
    places = ", ".join(str(root) for root in roots) or "no share folder was found at all"
    raise ConfigError(
        f"installed file '{'/'.join(parts)}' not found (looked in: {places}); "
        "source the workspace's setup file or install the package again"
    )


def _roots() -> Iterator[Path]:
    package = Path(__file__).resolve().parent
    if (package.parent / "package.xml").is_file():
        yield package.parent
    try:
        from ament_index_python.packages import get_package_share_directory

        yield Path(get_package_share_directory(PACKAGE))
    except (ImportError, LookupError, OSError):
        pass  # no ament here, no workspace sourced (OSError), or not registered in it (a KeyError)
    # Not resolved here: a symlinked site-packages must lead to its own prefix.
    for prefix in (Path(sys.prefix), *Path(__file__).absolute().parents):
        share = prefix / "share" / PACKAGE
        if share.is_dir():
            yield share
