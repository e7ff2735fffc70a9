"""NMS-free detection by object centres: head, targets, losses, decoding.

Zhou, Wang & Krähenbühl, "Objects as Points" (CenterNet, https://arxiv.org/abs/1904.07850), with distances to
the four sides in place of width and height, as FCOS (https://arxiv.org/abs/1904.01355) and TTFNet
(https://arxiv.org/abs/1909.00700) have them.
"""
