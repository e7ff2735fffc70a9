"""The contract between training and vehicle: a folder with a manifest and the ONNX files it names.

Graph contract (per-pixel work stays inside the graph): input `images` uint8 [N,H,W,3]; outputs by task:
segmentation `mask` uint8 [N,H,W] and `confidence` uint8 [N,H',W']; detection `boxes` float32 [N,K,4]
(x1,y1,x2,y2 in input pixels), `scores` float32 [N,K], `labels` int32 or int64 [N,K].
The graph's metadata entry `classes` (a JSON list of names) is checked against the manifest where present.
"""

import hashlib
import json
import logging
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .errors import BundleError, ConfigError
from .manifest import (
    MANIFEST_NAME,
    SCHEMA_VERSION,
    ClassInfo,
    InputSpec,
    Manifest,
    Metric,
    ModelFile,
    Provenance,
    read_manifest,
    write_manifest,
)
from .share import share_path

__all__ = [
    "GRAPH_INPUT",
    "MANIFEST_NAME",
    "METADATA_CLASSES",
    "SCHEMA_VERSION",
    "TASK_OUTPUTS",
    "Bundle",
    "ClassInfo",
    "InputSpec",
    "Manifest",
    "Metric",
    "ModelFile",
    "Provenance",
    "TensorSpec",
    "check_graph",
    "load_bundle",
    "read_manifest",
    "sha256_of",
    "write_manifest",
]

_log = logging.getLogger(__name__)

GRAPH_INPUT = "images"
METADATA_CLASSES = "classes"
TASK_OUTPUTS: Mapping[str, tuple[str, ...]] = {
    "segmentation": ("mask", "confidence"),
    "detection": ("boxes", "scores", "labels"),
}

# The key that every tensor outside the file has (external_data in onnx.proto), as protobuf writes it.
_EXTERNAL_DATA = b"\n\x08location\x12"

Dim = int | str | None

# Fastest first; what a bundle lacks is passed over.
_FASTEST_ON_CPU = ("int8", "fp32")
_FASTEST_ON_GPU = ("fp16", "fp32")


@dataclass(frozen=True)
class TensorSpec:
    """A graph tensor: numpy dtype name and shape; a dimension that is None or a name is dynamic."""

    name: str
    dtype: str
    shape: tuple[Dim, ...]

    def __str__(self) -> str:
        dims = ",".join("?" if dim is None else str(dim) for dim in self.shape)
        return f"{self.dtype} [{dims}]"


@dataclass(frozen=True)
class Bundle:
    """A bundle on disk."""

    path: Path
    manifest: Manifest

    def resolve_precision(self, wanted: str = "auto", device: str = "cpu") -> str:
        """`wanted`, or what `auto` stands for: the bundle's fastest precision for `device`.

        A bundle holds a reduced precision only after its export has found the accuracy within its budget.
        """
        if wanted != "auto":
            return wanted
        preferred = _FASTEST_ON_CPU if device == "cpu" else _FASTEST_ON_GPU
        return next(
            name for name in (*preferred, *self.manifest.precisions) if name in self.manifest.precisions
        )

    def model_path(self, precision: str = "fp32") -> Path:
        """The ONNX file of a precision.

        Raises:
            BundleError: the bundle has no such precision, or the file is missing.
        """
        entry = self.manifest.precisions.get(precision)
        if entry is None:
            known = ", ".join(sorted(self.manifest.precisions))
            raise BundleError(f"{self.path}: has no precision '{precision}'; it has: {known}")
        file = self.path / entry.file
        if not file.is_file():
            raise BundleError(
                f"{file}: missing, though the manifest names it for precision '{precision}'; "
                "copy or export the bundle again (a Git LFS checkout may need `git lfs pull`)"
            )
        return file


def load_bundle(path_or_name: str | Path, verify: bool = True) -> Bundle:
    """Load a bundle from a folder, or by the name of an installed one (`models/<name>`).

    Args:
        path_or_name: a bundle's folder, its manifest file, or an installed bundle's name.
        verify: compare every model file's SHA-256 with the manifest, and see that it is the whole model.

    Raises:
        BundleError: not found, manifest not valid, a file missing, changed, or with weights in other files.
    """
    folder = _find(path_or_name)
    manifest_path = folder / MANIFEST_NAME
    if not manifest_path.is_file():
        raise BundleError(f"{folder}: has no {MANIFEST_NAME}, so it is not a bundle")
    bundle = Bundle(folder, read_manifest(manifest_path))
    for precision, entry in bundle.manifest.precisions.items():
        file = bundle.model_path(precision)
        if verify and (found := sha256_of(file)) != entry.sha256:
            raise BundleError(
                f"{file}: SHA-256 is {found}, the manifest says {entry.sha256}; "
                "the file was changed or damaged: copy or export the bundle again"
            )
        if verify and _EXTERNAL_DATA in file.read_bytes():
            raise BundleError(
                f"{file}: keeps weights in other files, which the manifest's SHA-256 does not cover; save it "
                "as one file, in Python with onnx.save(onnx.load(FILE), FILE), and put its SHA-256 into the "
                "manifest"
            )
    return bundle


def sha256_of(file: Path) -> str:
    """SHA-256 of a file, in lower-case hex."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def check_graph(
    manifest: Manifest,
    inputs: Sequence[TensorSpec],
    outputs: Sequence[TensorSpec],
    metadata: Mapping[str, str],
) -> None:
    """Check a graph's tensors and the class names in its metadata against the manifest.

    Raises:
        BundleError: names the tensor, what was expected and what was found.
    """
    height, width = manifest.input.height, manifest.input.width
    if [spec.name for spec in inputs] != [GRAPH_INPUT]:
        raise BundleError(
            f"bundle '{manifest.name}': the graph must have the one input '{GRAPH_INPUT}'; "
            f"found {', '.join(spec.name for spec in inputs) or 'none'}"
        )
    _check_tensor(manifest, inputs[0], ("uint8",), (None, height, width, 3))
    batch = inputs[0].shape[0]
    if (batch if isinstance(batch, int) else None) != manifest.input.batch:
        found = f"the fixed batch size {batch}" if isinstance(batch, int) else "any batch size"
        raise BundleError(
            f"bundle '{manifest.name}': input '{GRAPH_INPUT}' has {found}, the manifest's input.batch says "
            f"{manifest.input.batch or 'any'}; export the bundle again"
        )
    expected: dict[str, tuple[tuple[str, ...], tuple[int | None, ...]]] = {
        "mask": (("uint8",), (None, height, width)),
        "confidence": (("uint8",), (None, None, None)),
        "boxes": (("float32",), (None, None, 4)),
        "scores": (("float32",), (None, None)),
        "labels": (("int32", "int64"), (None, None)),
    }
    by_name = {spec.name: spec for spec in outputs}
    for task in manifest.tasks:
        for name in TASK_OUTPUTS[task]:
            if name not in by_name:
                raise BundleError(
                    f"bundle '{manifest.name}': task {task} needs the graph output '{name}'; "
                    f"found {', '.join(by_name) or 'none'}"
                )
            _check_tensor(manifest, by_name[name], *expected[name])
    _check_class_names(manifest, metadata.get(METADATA_CLASSES))


def _check_tensor(
    manifest: Manifest, spec: TensorSpec, dtypes: tuple[str, ...], shape: tuple[int | None, ...]
) -> None:
    fits = len(spec.shape) == len(shape) and all(
        want is None or not isinstance(have, int) or want == have
        for want, have in zip(shape, spec.shape, strict=True)
    )
    if spec.dtype not in dtypes or not fits:
        wanted = TensorSpec(spec.name, " or ".join(dtypes), shape)
        raise BundleError(
            f"bundle '{manifest.name}': tensor '{spec.name}' must be {wanted}; the graph has {spec}"
        )


def _check_class_names(manifest: Manifest, text: str | None) -> None:
    if text is None:
        raise BundleError(
            f"bundle '{manifest.name}': the graph does not say its classes: its metadata must hold "
            f"'{METADATA_CLASSES}', a JSON list of their names by id, as the export command writes it"
        )
    try:
        names = json.loads(text)
    except ValueError as error:
        raise BundleError(
            f"bundle '{manifest.name}': the graph's metadata 'classes' is not JSON ({error})"
        ) from error
    if not isinstance(names, list) or tuple(names) != manifest.class_names:
        raise BundleError(
            f"bundle '{manifest.name}': the manifest's classes do not match the graph's; "
            f"manifest: {list(manifest.class_names)}, graph: {names}"
        )


def _shipped(name: str | Path) -> Path | None:
    """The shipped bundle that a folder of its name hides, a training run's perhaps; none for `./name`."""
    with suppress(ConfigError):
        folder = share_path("models") / name
        if Path(name).name == str(name) and (folder / MANIFEST_NAME).is_file():
            _log.warning("%s: the folder of that name here is no bundle; the shipped one is taken", name)
            return folder
    return None


def _find(path_or_name: str | Path) -> Path:
    path = Path(os.path.expanduser(path_or_name))  # pathlib's raises where there is no such user
    if path.is_file() and path.name == MANIFEST_NAME:
        return path.parent
    if path.is_dir():
        return path if (path / MANIFEST_NAME).is_file() else _shipped(path_or_name) or path
    if path.exists():
        raise BundleError(f"{path}: is not a bundle; give the folder that holds {MANIFEST_NAME}")
    if len(path.parts) != 1:
        raise BundleError(f"{path}: bundle folder not found")
    try:
        models = share_path("models")
    except ConfigError as error:
        raise BundleError(f"bundle '{path}': no such folder, and no installed bundles ({error})") from error
    folder = models / path
    if folder.is_dir():
        return folder
    known = sorted(item.parent.name for item in models.glob(f"*/{MANIFEST_NAME}"))
    raise BundleError(
        f"bundle '{path}': no such folder, and not an installed bundle; "
        f"installed: {', '.join(known) or 'none'} (in {models})"
    )
