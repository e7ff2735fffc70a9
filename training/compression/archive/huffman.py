"""Canonical Huffman code over symbols 0..255, code words of 16 bits at most."""

from __future__ import annotations

import heapq

import numpy as np
from numpy.typing import NDArray

LONGEST = 16
Symbols = NDArray[np.uint8]


def code_lengths(symbols: Symbols, alphabet: int) -> NDArray[np.uint8]:
    """Bits of each symbol's code word, uint8 [alphabet]; 0 for symbols that do not occur.

    A symbol that is alone has a word of one bit, so that the lengths tell which one it is. Very rare symbols
    are counted as less rare until no word is longer than 16 bits.
    """
    counts = np.bincount(symbols, minlength=alphabet)
    while True:
        lengths = _tree(counts)
        if lengths.max(initial=0) <= LONGEST:
            return lengths
        counts = np.where(counts > 0, counts // 2 + 1, 0)


def _tree(counts: NDArray[np.int64]) -> NDArray[np.uint8]:
    heap = [(int(count), symbol, [symbol]) for symbol, count in enumerate(counts) if count]
    lengths = np.zeros(len(counts), np.uint8)
    if len(heap) == 1:
        lengths[heap[0][1]] = 1
    heapq.heapify(heap)
    while len(heap) > 1:
        one, other = heapq.heappop(heap), heapq.heappop(heap)
        together = one[2] + other[2]
        lengths[together] += 1
        heapq.heappush(heap, (one[0] + other[0], one[1], together))
    return lengths


def _codes(lengths: NDArray[np.uint8]) -> dict[int, int]:
    """Code words: shorter first, then by symbol, each one more than the last, shifted."""
    code, previous, found = 0, 0, {}
    for length, symbol in sorted((int(length), symbol) for symbol, length in enumerate(lengths) if length):
        code <<= length - previous
        found[symbol], previous = code, length
        code += 1
    return found


def encode(symbols: Symbols, lengths: NDArray[np.uint8]) -> bytes:
    """The code words one after the other, the last byte filled with zeros."""
    words = np.zeros((len(lengths), LONGEST), np.uint8)
    for symbol, code in _codes(lengths).items():
        length = int(lengths[symbol])
        words[symbol, :length] = [code >> (length - 1 - bit) & 1 for bit in range(length)]
    used = np.arange(LONGEST) < lengths[:, None]
    return np.packbits(words[symbols][used[symbols]]).tobytes()


def decode(data: bytes, lengths: NDArray[np.uint8], count: int) -> Symbols:
    """`count` symbols back, uint8.

    Raises:
        ValueError, IndexError: `data` is not the code of so many symbols.
    """
    if count > 8 * len(data):  # a word has a bit at least
        raise ValueError(f"{count} symbols do not fit into {len(data)} bytes")
    symbol_of, length_of = np.zeros(1 << LONGEST, np.uint8), np.zeros(1 << LONGEST, np.uint8)
    for symbol, code in _codes(lengths).items():
        rest = LONGEST - int(lengths[symbol])
        symbol_of[code << rest : (code + 1) << rest] = symbol
        length_of[code << rest : (code + 1) << rest] = lengths[symbol]
    raw = np.frombuffer(data + b"\0\0", np.uint8).astype(np.uint32)
    three = raw[:-2] << 16 | raw[1:-1] << 8 | raw[2:]
    # What a word that began at each bit would be; following the lengths picks out those that do begin.
    windows = (three[:, None] >> np.arange(8, 0, -1, dtype=np.uint32) & 0xFFFF).reshape(-1)
    steps = length_of[windows].tolist()
    places, place = [], 0
    for _ in range(count):
        places.append(place)
        place += steps[place]
    if -(-place // 8) != len(data):
        raise ValueError(f"{count} symbols end at bit {place} of {8 * len(data)}")
    return symbol_of[windows[places]]
