"""A layer's weights as streams of symbols: which codebook entry, and how many zeros before it.

Deep Compression, section 2: zeros are not stored, each other weight has the number of zeros since the last
one; where that is more than a symbol can say, a filler stands for 255 zeros (figure 2).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.compression.archive.huffman import Symbols, code_lengths, decode, encode
from training.compression.archive.kmeans import share_weights

FILLER = 255


@dataclass(frozen=True)
class Stream:
    """Huffman coded symbols: code lengths uint8 [alphabet], number of symbols, code words."""

    lengths: NDArray[np.uint8]
    count: int
    data: bytes

    @classmethod
    def of(cls, symbols: Symbols, alphabet: int) -> Stream:
        """Code `symbols`, all below `alphabet`."""
        lengths = code_lengths(symbols, alphabet)
        return cls(lengths, len(symbols), encode(symbols, lengths))

    def symbols(self) -> Symbols:
        """What was coded."""
        return decode(self.data, self.lengths, self.count)


@dataclass(frozen=True)
class SharedTensor:
    """Weights of `size` values: codebook float32 [K], entries, and zeros between them if there are any."""

    size: int
    codebook: NDArray[np.float32]
    entries: Stream
    gaps: Stream | None

    @classmethod
    def of(cls, weights: NDArray[np.float32], bits: int) -> SharedTensor:
        """Share the weights that are not zero among at most 2^bits values."""
        flat = weights.reshape(-1)
        places = np.flatnonzero(flat)
        codebook, entries = share_weights(flat[places], 2**bits)
        gaps = None
        if len(places) < len(flat):
            gaps = Stream.of(_gaps(places), FILLER + 1)
        return cls(len(flat), codebook, Stream.of(entries, max(1, len(codebook))), gaps)

    def weights(self) -> NDArray[np.float32]:
        """The shared weights, float32 [size].

        Raises:
            ValueError, IndexError: the streams do not fit each other, the codebook or the size.
        """
        values = self.codebook[self.entries.symbols()]
        places = np.arange(self.size) if self.gaps is None else _places(self.gaps.symbols())
        if len(values) != len(places):  # numpy would repeat a single value
            raise ValueError(f"{len(values)} weights for {len(places)} places")
        found = np.zeros(self.size, np.float32)
        found[places] = values
        return found


def _gaps(places: NDArray[np.int64]) -> Symbols:
    zeros = np.diff(places, prepend=-1) - 1
    fillers = zeros // FILLER
    symbols = np.full(len(places) + int(fillers.sum()), FILLER, np.uint8)
    symbols[np.arange(len(places)) + np.cumsum(fillers)] = zeros % FILLER
    return symbols


def _places(symbols: Symbols) -> NDArray[np.int64]:
    here = symbols != FILLER
    ends = np.cumsum(np.where(here, symbols.astype(np.int64) + 1, FILLER))
    return ends[here] - 1
