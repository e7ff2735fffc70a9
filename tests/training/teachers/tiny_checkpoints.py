"""Checkpoint folders with tiny random networks, as `save_pretrained` writes them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import transformers as tf
from torch import nn

# As in id2label of the SegFormer, Mask2Former and OneFormer checkpoints for Cityscapes.
CITYSCAPES = (
    "road",
    "sidewalk",
    "building",
    "wall",
    "fence",
    "pole",
    "traffic light",
    "traffic sign",
    "vegetation",
    "terrain",
    "sky",
    "person",
    "rider",
    "car",
    "truck",
    "bus",
    "train",
    "motorcycle",
    "bicycle",
)
IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}


def labels(names: Sequence[str]) -> dict[str, Any]:
    return {"id2label": dict(enumerate(names)), "label2id": {name: i for i, name in enumerate(names)}}


def sharpen(model: nn.Module, seed: int) -> nn.Module:
    """Random weights large enough that outputs vary from pixel to pixel and query to query."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if any(word in name for word in ("class_", "queries", "query_position")):
                # So that queries disagree, and few of them are above one half in many classes.
                nn.init.normal_(parameter, std=2.0) if parameter.ndim > 1 else nn.init.constant_(
                    parameter, -1
                )
            elif "mask_embedder" in name:  # and masks are soft
                nn.init.normal_(parameter, std=0.1)
            elif parameter.ndim > 1:
                nn.init.normal_(parameter, std=1.5 / parameter[0].numel() ** 0.5)
            elif name.endswith("bias"):
                nn.init.normal_(parameter, std=0.3)
    return model.eval()


def save(model: Any, folder: Path, preprocessing: dict[str, Any], seed: int = 0) -> Path:
    sharpen(model, seed).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessing))
    return folder


def segformer(folder: Path, names: Sequence[str], seed: int = 0, **preprocessing: Any) -> Path:
    config = tf.SegformerConfig(
        depths=[1, 1, 1, 1],
        hidden_sizes=[8, 8, 16, 16],
        num_attention_heads=[1, 1, 2, 2],
        decoder_hidden_size=16,
        **labels(names),
    )
    rules = {"size": {"height": 64, "width": 64}, "resample": 2, "do_normalize": True, **IMAGENET}
    return save(tf.SegformerForSemanticSegmentation(config), folder, {**rules, **preprocessing}, seed)


def mobilenet_v2(folder: Path, names: Sequence[str]) -> Path:
    config = tf.MobileNetV2Config(depth_multiplier=0.25, finegrained_output=False, **labels(names))
    half = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    rules = {"size": {"shortest_edge": 65}, "crop_size": {"height": 65, "width": 65}, "do_center_crop": True}
    return save(tf.MobileNetV2ForSemanticSegmentation(config), folder, {**rules, **half})


def swin() -> tf.SwinConfig:
    return tf.SwinConfig(
        image_size=64,
        embed_dim=8,
        depths=[1, 1, 1, 1],
        num_heads=[1, 1, 2, 2],
        window_size=4,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )


def mask2former(folder: Path, names: Sequence[str]) -> Path:
    config = tf.Mask2FormerConfig(
        backbone_config=swin(),
        feature_size=32,
        mask_feature_size=32,
        hidden_dim=32,
        encoder_feedforward_dim=16,
        encoder_layers=1,
        decoder_layers=2,
        num_attention_heads=2,
        dim_feedforward=16,
        num_queries=9,
        **labels(names),
    )
    rules = {"size": {"shortest_edge": 64, "longest_edge": 128}, "size_divisor": 32, **IMAGENET}
    return save(tf.Mask2FormerForUniversalSegmentation(config), folder, rules)


def oneformer(folder: Path, names: Sequence[str]) -> Path:
    config = tf.OneFormerConfig(
        backbone_config=swin(),
        num_queries=9,
        hidden_dim=32,
        mask_dim=32,
        conv_dim=32,
        encoder_feedforward_dim=16,
        dim_feedforward=16,
        encoder_layers=1,
        decoder_layers=2,
        query_dec_layers=1,
        num_attention_heads=2,
        text_encoder_width=16,
        text_encoder_num_layers=1,
        text_encoder_vocab_size=64,
        text_encoder_proj_layers=1,
        **labels(names),
    )
    save(
        tf.OneFormerForUniversalSegmentation(config),
        folder,
        {"size": {"height": 64, "width": 96}, **IMAGENET},
    )
    letters = [chr(c) for c in range(ord("a"), ord("z") + 1)]
    special = ["<|startoftext|>", "<|endoftext|>"]
    vocab = {token: i for i, token in enumerate([*special, *letters, *(f"{c}</w>" for c in letters)])}
    tf.CLIPTokenizer(vocab=vocab, merges=[]).save_pretrained(folder)
    return folder


def detr(folder: Path, names: Sequence[str]) -> Path:
    """Softmax with "no object"."""
    config = tf.DetrConfig(
        use_timm_backbone=False,
        use_pretrained_backbone=False,
        backbone=None,
        backbone_config=tf.ResNetConfig(
            embedding_size=8, hidden_sizes=[8, 8, 16, 16], depths=[1, 1, 1, 1], out_features=["stage4"]
        ),
        d_model=16,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        num_queries=12,
        **labels(names),
    )
    rules = {"size": {"shortest_edge": 64, "longest_edge": 96}, "do_pad": True, **IMAGENET}
    return save(tf.DetrForObjectDetection(config), folder, rules)


_SMALL_DETR: dict[str, Any] = {
    "encoder_hidden_dim": 16,
    "encoder_ffn_dim": 16,
    "encoder_attention_heads": 2,
    "d_model": 16,
    "num_queries": 12,
    "decoder_in_channels": [16, 16, 16],
    "encoder_in_channels": [8, 16, 16],
    "decoder_ffn_dim": 16,
    "decoder_layers": 2,
    "decoder_attention_heads": 2,
    "num_denoising": 0,
    "hidden_expansion": 0.5,
}
_FIXED = {"size": {"height": 64, "width": 96}, "do_normalize": False}


def rt_detr_v2(folder: Path, names: Sequence[str]) -> Path:
    backbone = tf.RTDetrResNetConfig(
        embedding_size=8,
        hidden_sizes=[8, 8, 16, 16],
        depths=[1, 1, 1, 1],
        layer_type="basic",
        out_features=["stage2", "stage3", "stage4"],
    )
    config = tf.RTDetrV2Config(backbone_config=backbone, **_SMALL_DETR, **labels(names))
    return save(tf.RTDetrV2ForObjectDetection(config), folder, _FIXED)


def d_fine(folder: Path, names: Sequence[str]) -> Path:
    backbone = tf.HGNetV2Config(
        stem_channels=[3, 8, 8],
        stage_in_channels=[8, 8, 8, 16],
        stage_mid_channels=[8, 8, 8, 8],
        stage_out_channels=[8, 8, 16, 16],
        stage_num_blocks=[1, 1, 1, 1],
        stage_numb_of_layers=[1, 1, 1, 1],
        hidden_sizes=[8, 8, 16, 16],
        depths=[1, 1, 1, 1],
        embedding_size=8,
        out_features=["stage2", "stage3", "stage4"],
    )
    config = tf.DFineConfig(backbone_config=backbone, **_SMALL_DETR, **labels(names))
    return save(tf.DFineForObjectDetection(config), folder, _FIXED)
