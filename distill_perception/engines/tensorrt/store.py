"""Built engines on disk, outside the bundle. An engine file is code: it is verified before it is used.

An entry is `<id>.engine` and `<id>.json`: the id is the hash of its key, the JSON holds key, SHA-256, size.
It is used only if the key is the wanted one and names the file, the content has that SHA-256, and nobody but
this user (or root) could have written it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from .library import version_key

_log = logging.getLogger(__name__)

VARIABLE = "DISTILL_PERCEPTION_CACHE"
RECIPE = 2  # raised whenever the code that builds engines makes others from the same ONNX file


@dataclass(frozen=True)
class EngineKey:
    """What an engine was made from and for.

    Attributes:
        onnx_sha256: of the bundle's file.
        precision: the bundle's name of that file.
        library: `tensorrt` or `tensorrt_rtx`.
        version: of that library.
        target: the GPUs it runs on, as `targets.py` writes them.
        shape: height and width of a frame.
        max_batch: frames at once, at most.
        version_compatible: newer versions of the library may run it.
        recipe: RECIPE of the code that built it.
    """

    onnx_sha256: str
    precision: str
    library: str
    version: str
    target: str
    shape: tuple[int, int]
    max_batch: int
    version_compatible: bool = False
    recipe: int = RECIPE

    @property
    def id(self) -> str:
        """File name of the entry."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def serves(self, wanted: EngineKey, targets: tuple[str, ...]) -> bool:
        """Whether an engine of this key may be used for `wanted`, on a GPU of these targets."""
        same = ("onnx_sha256", "precision", "library", "shape", "recipe")
        newer = self.version_compatible and version_key(self.version) <= version_key(wanted.version)
        return (
            all(getattr(self, name) == getattr(wanted, name) for name in same)
            and (self.version == wanted.version or newer)
            and self.target in targets
            and self.max_batch >= wanted.max_batch
        )


@dataclass(frozen=True)
class Entry:
    """An engine in the store; `bundle` is for people."""

    path: Path
    key: EngineKey
    sha256: str
    bytes: int
    bundle: str


def default_folder() -> Path:
    """$DISTILL_PERCEPTION_CACHE, else distill_perception/engines in the user's cache folder."""
    if os.environ.get(VARIABLE):
        return Path(os.path.expanduser(os.environ[VARIABLE]))
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.path.expanduser(base)) / "distill_perception" / "engines"


@contextmanager
def engines_kept_in(folder: Path) -> Iterator[None]:
    """TensorRT's engines go there meanwhile: nobody loads those of networks that were only tried or timed."""
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ[VARIABLE]
        else:
            os.environ[VARIABLE] = before


class EngineStore:
    """A folder of built engines."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or default_folder()

    def require_folder(self) -> None:
        """Make the folder if it is not there.

        Raises:
            OSError: it cannot be made, or others can write it, so that nothing in it would be used.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if _others_write(self.folder):
            raise PermissionError(
                f"{self.folder}: it is another user's or others can write it, so engines there would not be "
                f"used; make it this user's alone (chown, chmod go-w), or set {VARIABLE} to another folder"
            )

    def entries(self) -> Iterator[Entry]:
        """Every entry with a readable description; the engines themselves are not read."""
        for file in sorted(self.folder.glob("*.json")):
            try:
                raw = json.loads(file.read_text())
                key = EngineKey(**{**raw["key"], "shape": tuple(raw["key"]["shape"])})
                entry = Entry(file.with_suffix(".engine"), key, raw["sha256"], raw["bytes"], raw["bundle"])
            except (OSError, ValueError, TypeError, KeyError) as error:
                _log.warning("%s: not a description of an engine (%s); ignored", file, error)
                continue
            yield entry

    def find(self, wanted: EngineKey, targets: tuple[str, ...]) -> Entry | None:
        """The best entry for `wanted`: of the first target of which there is one, for the smallest batch."""
        fitting = [entry for entry in self.entries() if entry.key.serves(wanted, targets)]
        return min(
            fitting,
            key=lambda entry: (
                targets.index(entry.key.target),
                entry.key.version != wanted.version,
                entry.key.max_batch,
            ),
            default=None,
        )

    def read(self, entry: Entry) -> bytes | None:
        """An entry's verified engine; None, with the reason in the log, if it cannot be trusted."""
        content = _read_trusted(entry.path)
        if content is None or not _trusted(entry.path.with_suffix(".json")):
            return None
        if entry.path.stem != entry.key.id or hashlib.sha256(content).hexdigest() != entry.sha256:
            _log.warning(
                "%s: does not have the SHA-256 that was noted when it was built; ignored", entry.path
            )
            return None
        return content

    def write(self, key: EngineKey, content: bytes, bundle: str) -> None:
        """Store an engine; a description appears only when the engine is whole.

        Raises:
            OSError: the folder cannot be written, or by others too, so that nothing in it would be used.
        """
        path = self.folder / f"{key.id}.engine"
        sha256 = hashlib.sha256(content).hexdigest()
        note = {"bundle": bundle, "key": asdict(key), "sha256": sha256, "bytes": len(content)}
        self._replace(path, content)
        self._replace(path.with_suffix(".json"), (json.dumps(note, indent=1) + "\n").encode())

    def read_extra(self, name: str) -> bytes | None:
        """What `write_extra` wrote, e.g. a timing cache; None if absent, changed since, or not trusted."""
        content = _read_trusted(self.folder / name) if (self.folder / name).exists() else None
        if content is None or hashlib.sha256(content[32:]).digest() != content[:32]:
            return None
        return content[32:]

    def write_extra(self, name: str, content: bytes) -> None:
        """Keep something that makes the next build or start faster; failing at it is no matter."""
        try:
            self._replace(self.folder / name, hashlib.sha256(content).digest() + content)
        except OSError as error:
            _log.info("%s cannot be kept: %s", self.folder / name, error)

    def clear(self) -> int:
        """Remove everything that a store wrote; returns the number of files.

        The folder may be anyone's (`--cache .`), so a file is known by the whole of its name.
        """
        files = [path for path in self.folder.glob("*") if _OWN_NAMES.fullmatch(path.name)]
        for path in files:
            path.unlink(missing_ok=True)
        return len(files)

    def _replace(self, path: Path, content: bytes) -> None:
        self.require_folder()
        descriptor, name = tempfile.mkstemp(dir=self.folder, prefix=".new-")  # readable by this user only
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(content)
            os.replace(name, path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


# An entry and its kernels by id; timings, which `build.py` names; what a write that was killed left behind.
_OWN_NAMES = re.compile(
    r"[0-9a-f]{16}\.(engine|json|kernels)|tensorrt(_rtx)?-[^-]+-[^-]+\.timing|\.new-[a-z0-9_]{8}"
)


def _read_trusted(path: Path) -> bytes | None:
    try:
        return path.read_bytes() if _trusted(path) else None
    except OSError as error:
        _log.warning("%s: %s; ignored", path, error.strerror)
        return None


def _trusted(path: Path) -> bool:
    """Whether only this user or root can write the file and its folder."""
    for place in (path, path.parent):
        if _others_write(place):
            _log.warning("%s: others than this user can write it; engines there are ignored", place)
            return False
    return True


def _others_write(place: Path) -> bool:
    info = place.stat()
    return info.st_uid not in (os.geteuid(), 0) or bool(info.st_mode & (stat.S_IWGRP | stat.S_IWOTH))
