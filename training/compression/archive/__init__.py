"""Deep Compression: shared weights, Huffman coded, in one file (Han, Mao & Dally, ICLR 2016).

https://arxiv.org/abs/1510.00149. `kmeans` shares weights, `huffman` codes symbols, `tensors` is a layer's
weights as streams of symbols, `file` the format, `run` packs and unpacks run folders.
"""
