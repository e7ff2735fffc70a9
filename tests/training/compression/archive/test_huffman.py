"""Huffman's code: exact, and as short as it can be."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.compression.archive.huffman import LONGEST, code_lengths, decode, encode


@settings(max_examples=60)
@given(st.lists(st.integers(0, 20) | st.just(3), max_size=300))
def test_what_is_coded_comes_back(values: list[int]) -> None:
    symbols = np.array(values, np.uint8)
    lengths = code_lengths(symbols, 21)
    assert np.array_equal(decode(encode(symbols, lengths), lengths, len(symbols)), symbols)


def test_lengths_of_the_textbook_example() -> None:
    """Cormen et al., "Introduction to Algorithms", figure 16.3: a..f occur 45, 13, 12, 16, 9, 5 times."""
    symbols = np.repeat(np.arange(6), [45, 13, 12, 16, 9, 5]).astype(np.uint8)
    assert code_lengths(symbols, 6).tolist() == [1, 3, 3, 3, 4, 4]
    assert len(encode(symbols, code_lengths(symbols, 6))) == 28  # 224 bits


def test_length_lies_within_a_bit_of_the_entropy() -> None:
    symbols = np.random.default_rng(0).binomial(31, 0.3, 20_000).astype(np.uint8)
    share = np.bincount(symbols) / len(symbols)
    entropy = -(share[share > 0] * np.log2(share[share > 0])).sum()
    bits = 8 * len(encode(symbols, code_lengths(symbols, 32))) / len(symbols)
    assert entropy <= bits < entropy + 0.1


def test_no_word_is_longer_than_the_decoder_looks() -> None:
    counts = [2**i for i in range(20)]  # Huffman's own tree would be 19 deep
    symbols = np.repeat(np.arange(20), counts).astype(np.uint8)
    lengths = code_lengths(symbols, 20)
    assert lengths.max() <= LONGEST
    assert sum(2.0 ** -int(length) for length in lengths) <= 1  # Kraft: decodable


@pytest.mark.parametrize("symbol", [0, 3])
def test_one_symbol_alone_is_known_from_its_length(symbol: int) -> None:
    symbols = np.full(5, symbol, np.uint8)
    lengths = code_lengths(symbols, 4)
    assert lengths[symbol] == lengths.sum() == 1
    assert np.array_equal(decode(encode(symbols, lengths), lengths, 5), symbols)


@pytest.mark.parametrize("count", [0, 1, 99, 3_000_000_000])
def test_data_of_another_length_than_its_symbols_is_refused(count: int) -> None:
    lengths = np.array([1, 0], np.uint8)
    with pytest.raises((ValueError, IndexError)):
        decode(b"\x80\0", lengths, count)  # no word begins with 1: decoding would stand still
