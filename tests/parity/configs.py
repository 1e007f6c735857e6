"""Checks what vit-convert makes of config.json, preprocessor_config.json and its options.

    configs.py BUILD [PART]

BUILD is the folder with the programs; with PART, only the cases with PART in their name run. Each
case changes the config files of a tiny model or gives options, and says what the .vit file has to
hold then. All else has to be as without the change. What cannot be used has to be refused: exit
status 1, no file, and a message that names the key or the value. Prints a line for each case, then
'N passed, N failed'.
"""
import json
import os
import sys
import tempfile
from dataclasses import dataclass, field

import numpy as np
import torch
from torchvision.models import ViT_B_16_Weights

import checkpoints
import vit_format
from plain_vit import Config, PlainViT, randomise
from programs import Programs

NONE, SHORTEST, EXACT = 0, 1, 2
BILINEAR, BICUBIC = 0, 1
GELU, GELU_TANH = 0, 1
ROUND, FLOOR = 0, 1
SOFTMAX, SIGMOID, NUMBER = 0, 1, 2
DROP = object()  # as a change: the key goes
ABSENT = object()  # instead of changes: there is no such file

CONFIG, PROCESSOR = "config.json", "preprocessor_config.json"
IMAGENET = dict(mean=checkpoints.IMAGENET_MEAN, std=checkpoints.IMAGENET_STD)
HALF = dict(mean=(0.5,) * 3, std=(0.5,) * 3)
CLIP = dict(mean=(0.48145466, 0.4578275, 0.40821073), std=(0.26862954, 0.26130258, 0.27577711))
PLAIN = dict(mean=(0,) * 3, std=(1,) * 3)
LETTERS = list("abcdefg")


@dataclass
class Family:
    """A model, and what the file holds where a case changes nothing. source is a Checkpoint."""

    source: object
    expected: dict
    folder: str = ""


@dataclass
class Case:
    """config, processor: changes by key, the text of the file, or ABSENT. An option that is a
    key of files stands for that file. expected is None where the conversion has to fail."""

    name: str
    family: str
    expected: dict = None
    words: tuple = ()
    config: object = field(default_factory=dict)
    processor: object = field(default_factory=dict)
    options: tuple = ()
    files: dict = field(default_factory=dict)


# ---- models ----------------------------------------------------------------------------------


def tiny(**changes):
    """A model of one block with changes."""
    values = dict(img_size=(12, 12), patch_size=(4, 4), num_classes=7, embed_dim=16, depth=1,
                  num_heads=2, mlp_dim=24)
    return Config(**{**values, **changes})


def state_of(c):
    """Random weights under timm's names."""
    return randomise(PlainViT(c), 1).state_dict()


def common(c, **expected):
    """The fields that follow from the model alone, and others."""
    values = dict(
        img_size=c.img_size, num_heads=c.num_heads, head_dim=c.head_dim,
        prefix_tokens=c.prefix_tokens, head_tokens={"avg": 0, "distilled": 2}.get(c.pool, 1),
        head_avg=int(c.pool == "avg"), final_norm=int(c.fc_norm), act=GELU, norm_eps=c.norm_eps,
        rescale=255, output=SOFTMAX, labels=[])
    return {**values, **expected}


def timm_family(c, **expected):
    """timm, with a recipe whose numbers all differ."""
    source = checkpoints.timm(c, state_of(c), "vit_test")
    recipe = dict(mean=[0.1, 0.2, 0.3], std=[0.4, 0.5, 0.6])
    source.config["pretrained_cfg"].update(recipe)
    source.config["model_args"] = {"num_heads": c.num_heads}
    values = dict(resize=SHORTEST, resize_size=(13, 13), interpolation=BICUBIC, crop=ROUND,
                  mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6), architecture="vit_test")
    return Family(source, common(c, **{**values, **expected}))


def bare_family(c, **expected):
    """timm's names without its config, so that all is assumed."""
    values = dict(resize=SHORTEST, resize_size=(13, 13), interpolation=BICUBIC, crop=ROUND, **HALF)
    source = checkpoints.Checkpoint(state_of(c))
    return Family(source, common(c, **{**values, "architecture": "source", **expected}))


def torchvision_family(c, **expected):
    """torchvision's names; there is no config."""
    source = checkpoints.Checkpoint(checkpoints.torchvision(c, state_of(c)).tensors)
    values = dict(crop=ROUND, architecture="source", **IMAGENET)
    return Family(source, common(c, **{**values, **expected}))


def hf_family(c, deit, **expected):
    """Hugging Face's ViT or DeiT, with names of the classes."""
    maker = checkpoints.hf_deit if deit else checkpoints.hf_vit
    letters = LETTERS[: c.num_classes]
    values = dict(resize=EXACT, resize_size=c.img_size, interpolation=BILINEAR, crop=FLOOR,
                  architecture="ViTForImageClassification", labels=letters, **HALF)
    source = maker(c, state_of(c), letters)
    return Family(source, common(c, **{**values, **expected}))


def make_families():
    """All models by name."""
    eps = dict(norm_eps=1e-12)
    deit = dict(resize_size=(256, 256), interpolation=BICUBIC, **IMAGENET)
    teacher = tiny(dist_token=True, pool="distilled", **eps)
    class_name = "DeiTForImageClassification"
    large = dict(img_size=(224, 224), patch_size=(56, 56), embed_dim=64, num_heads=1)
    grey = dict(mean=(0.1,), std=(0.4,))
    return {
        "timm": timm_family(tiny()),
        "timm avg": timm_family(tiny(pool="avg", fc_norm=True)),
        "timm distilled": timm_family(tiny(dist_token=True, pool="distilled")),
        "timm grey": timm_family(tiny(in_chans=1), **grey),
        "timm 5 channels": timm_family(tiny(in_chans=5), mean=(), std=()),
        "timm 10": timm_family(tiny(num_classes=10)),
        "timm 100": timm_family(tiny(num_classes=100)),
        "timm 1000": timm_family(tiny(num_classes=1000)),
        "timm wide": bare_family(tiny(embed_dim=128)),
        "timm wide avg": bare_family(tiny(embed_dim=64, num_heads=1, pool="avg", fc_norm=True)),
        "timm 1152": bare_family(tiny(embed_dim=1152, num_heads=16, mlp_dim=1)),
        "timm oblong": bare_family(tiny(img_size=(8, 20)), resize_size=(8, 22)),
        "timm one": timm_family(tiny(num_classes=1)),
        "timm pre_logits": timm_family(tiny(pre_logits=9)),
        "torchvision grey": torchvision_family(
            tiny(in_chans=1), resize=SHORTEST, resize_size=(12, 12), interpolation=BICUBIC,
            mean=(0.5,), std=(0.5,)),
        "ViT one": hf_family(tiny(num_classes=1, **eps), False, output=NUMBER),
        "ViT grey": hf_family(tiny(in_chans=1, **eps), False, mean=(0.5,), std=(0.5,)),
        "ViT 384": hf_family(tiny(img_size=(384, 384), patch_size=(128, 128), **eps), False),
        "torchvision": torchvision_family(
            tiny(**large), resize=SHORTEST, resize_size=(256, 256), interpolation=BILINEAR),
        "torchvision 12": torchvision_family(
            tiny(), resize=SHORTEST, resize_size=(12, 12), interpolation=BICUBIC),
        "ViT": hf_family(tiny(**eps), False),
        "DeiT": hf_family(tiny(dist_token=True, **eps), True, architecture=class_name, **deit),
        "teacher": hf_family(teacher, True, architecture=class_name + "WithTeacher", **deit),
    }


# ---- cases -----------------------------------------------------------------------------------


def good(name, family, expected=None, words=(), **rest):
    """A conversion that succeeds."""
    return Case(name, family, expected or {}, tuple(words), **rest)


def bad(name, family, words, **rest):
    """A conversion that fails."""
    return Case(name, family, None, (words,) if isinstance(words, str) else tuple(words), **rest)


def pair(n):
    """A square size."""
    return dict(resize_size=(n, n))


def timm_cases():
    """timm's config.json: what is in pretrained_cfg, at the top level and in model_args."""
    recipe = {"input_size": [3, 12, 12], "interpolation": "bilinear", "crop_pct": 0.5,
              "mean": [0.7, 0.8, 0.9], "std": [1, 2, 3]}
    old = dict(resize_size=(24, 24), interpolation=BILINEAR, mean=(0.7, 0.8, 0.9), std=(1, 2, 3))
    changes = {
        "recipe at the top level": ({"pretrained_cfg": DROP, **recipe}, old),
        "crop_pct 1": ({"pretrained_cfg.crop_pct": 1.0}, pair(12)),
        "no crop_pct": ({"pretrained_cfg.crop_pct": DROP}, pair(13)),
        "bilinear": ({"pretrained_cfg.interpolation": "bilinear"}, {"interpolation": BILINEAR}),
        "no mean, no std": (
            {"pretrained_cfg.mean": DROP, "pretrained_cfg.std": None}, IMAGENET),
        "one mean for all channels": ({"pretrained_cfg.mean": [0.25]}, {"mean": (0.25,) * 3}),
        "crop_mode squash": ({"pretrained_cfg.crop_mode": "squash"}, {"resize": EXACT}),
        "no crop_mode": ({"pretrained_cfg.crop_mode": DROP}, {}),
        "model_args: num_heads": ({"model_args.num_heads": 4}, {"num_heads": 4, "head_dim": 4}),
        "model_args: act_layer": ({"model_args.act_layer": "gelu_tanh"}, {"act": GELU_TANH}),
        "model_args: act_layer gelu": ({"model_args.act_layer": "gelu"}, {}),
        "model_args: norm_eps": ({"model_args.norm_eps": 1e-5}, {"norm_eps": 1e-5}),
        "model_args: what the tensors say as well": (
            {"model_args.embed_dim": 16, "model_args.depth": 1, "model_args.patch_size": 4,
             "model_args.in_chans": 3, "model_args.img_size": 12}, {}),
        "model_args: global_pool over the top level": (
            {"model_args.global_pool": "token", "global_pool": "map"}, {}),
        "null is as good as no key": (
            {"model_args.act_layer": None, "pretrained_cfg.crop_mode": None, "label_names": None},
            {}),
        "a long name is cut to 63 bytes": (
            {"architecture": "x" * 70}, {"architecture": "x" * 63}),
        "a long name is cut in front of a letter": (
            {"architecture": "x" * 62 + "é"}, {"architecture": "x" * 62}),
        "no architecture": ({"architecture": DROP}, {"architecture": "source"}),
    }
    for name, (config, expected) in changes.items():
        yield good(name, "timm", expected, config=config)


def pooling_cases():
    """global_pool and fc_norm against the tensors that are there."""
    avg = dict(head_tokens=0, head_avg=1)
    yield good("global_pool avg, fc_norm", "timm avg")
    yield good("global_pool avg of model_args", "timm avg",
               config={"global_pool": "token", "model_args.global_pool": "avg"})
    yield good("global_pool avg of pretrained_cfg", "timm avg",
               config={"global_pool": DROP, "pretrained_cfg.global_pool": "avg"})
    yield good("global_pool avg, norm", "timm", avg, ["fc_norm"], config={"global_pool": "avg"})
    yield good("global_pool avg, fc_norm false", "timm", avg,
               config={"global_pool": "avg", "model_args.fc_norm": False})
    prefix = {"model_args.pool_include_prefix": True}
    yield good("pool_include_prefix", "timm avg", {"head_avg": 2}, config=prefix)
    yield good("pool_include_prefix, token", "timm", config=prefix)
    yield bad("pool_include_prefix 1", "timm avg", "pool_include_prefix",
              config={"model_args.pool_include_prefix": 1})
    yield good("two heads", "timm distilled")
    yield bad("global_pool map", "timm", "map", config={"global_pool": "map"})
    yield bad("model_args: global_pool max", "timm", "max",
              config={"model_args.global_pool": "max"})
    yield bad("global_pool 1", "timm", "global_pool", config={"global_pool": 1})
    yield bad("fc_norm true without it", "timm", "fc_norm",
              config={"global_pool": "avg", "model_args.fc_norm": True})
    yield bad("fc_norm false with it", "timm avg", "fc_norm", config={"model_args.fc_norm": False})
    yield bad("two heads, global_pool avg", "timm distilled", "global_pool avg",
              config={"global_pool": "avg"})


def timm_refusals():
    """Values of timm's config.json that cannot be used, with the words of the message."""
    changes = {
        "crop_mode border": ("pretrained_cfg.crop_mode", "border", "border"),
        "interpolation lanczos": ("pretrained_cfg.interpolation", "lanczos", "lanczos"),
        "interpolation 3": ("pretrained_cfg.interpolation", 3, "interpolation"),
        "two means": ("pretrained_cfg.mean", [1, 2], "mean"),
        "five means": ("pretrained_cfg.mean", [1, 2, 3, 4, 5], "mean"),
        "mean is text": ("pretrained_cfg.mean", "x", "mean"),
        "a mean is text": ("pretrained_cfg.mean", [0, "x", 0], "mean"),
        "std 0": ("pretrained_cfg.std", [1, 1, 0], "std"),
        "std below 0": ("pretrained_cfg.std", [-1, 1, 1], "std"),
        "input_size 3": ("pretrained_cfg.input_size", 3, "input_size"),
        "input_size of two": ("pretrained_cfg.input_size", [12, 12], "input_size"),
        "crop_pct 0": ("pretrained_cfg.crop_pct", 0, "crop_pct"),
        "crop_pct 1e-9": ("pretrained_cfg.crop_pct", 1e-9, "crop_pct"),
        "crop_pct is text": ("pretrained_cfg.crop_pct", "0.9", "crop_pct"),
        "act_layer silu": ("model_args.act_layer", "silu", "silu"),
        "architecture 1": ("architecture", 1, "architecture"),
        "num_heads 2.5": ("model_args.num_heads", 2.5, "num_heads"),
        "num_heads is text": ("model_args.num_heads", "2", "num_heads"),
        "num_heads 0": ("model_args.num_heads", 0, "num_heads"),
        "num_heads 3 of width 16": ("model_args.num_heads", 3, "3 heads"),
        "norm_eps 0": ("model_args.norm_eps", 0, "norm_eps"),
        "norm_eps 1e-60": ("model_args.norm_eps", 1e-60, "epsilon"),
        "embed_dim": ("model_args.embed_dim", 17, "embed_dim"),
        "depth": ("model_args.depth", 2, "depth"),
        "in_chans": ("model_args.in_chans", 1, "in_chans"),
        "patch_size": ("model_args.patch_size", 8, "patch_size"),
        "img_size": ("model_args.img_size", 24, ["12x12", "24x24"]),
        "num_classes": ("num_classes", 8, "num_classes"),
        "qkv_bias false with biases": ("model_args.qkv_bias", False, "qkv_bias"),
    }
    for name, (key, value, words) in changes.items():
        yield bad(name, "timm", words, config={key: value})
    yield bad("img_size other than the recipe's", "timm", "16x16",
              config={"model_args.img_size": 12, "pretrained_cfg.input_size": [3, 16, 16]})


def channel_cases():
    """Mean and std of other than three channels."""
    grey = {"pretrained_cfg.mean": [0.1], "pretrained_cfg.std": [0.4]}
    yield good("one channel", "timm grey", config=grey)
    yield good("one channel, options", "timm grey", dict(mean=(0.6,), std=(0.7,)),
               options=("--mean", ".6", "--std", ".7"))
    yield bad("one channel, three means", "timm grey", "3 values of mean for 1 channel (--mean)")
    grey = dict(mean=(0.5,), std=(0.5,))
    resize = "the short side to 12x12 (--resize, --crop-pct)"
    heads = ("--heads", "2")
    yield good("one channel, nothing known", "torchvision grey", words=[
        f"assumed {resize}, bicubic (--interpolation), mean 0.5 (--mean), std 0.5 (--std)\n"],
        options=heads)
    yield good("one channel, mean and std known", "torchvision grey", dict(mean=(0.1,), std=(0.3,)),
               [f"assumed {resize}, bicubic (--interpolation)\n"],
               options=(*heads, "--mean", ".1", "--std", ".3"))
    yield good("one channel, std alone not known", "torchvision grey", dict(mean=(0.1,)),
               ["recipe: assumed std 0.5 (--std)\n"],
               options=(*heads, "--mean", ".1", "--resize", "12", "--interpolation", "bicubic"))
    yield good("one channel, no mean and no std", "timm grey", grey,
               ["assumed mean 0.5 (--mean), std 0.5 (--std)\n"],
               config={"pretrained_cfg.mean": DROP, "pretrained_cfg.std": DROP})
    yield good("one channel, no image_mean", "ViT grey",
               processor={"image_mean": DROP, "image_std": DROP})
    yield good("one channel, no image_mean of CLIP's", "ViT grey",
               words=["assumed mean 0.5 (--mean), std 0.5 (--std)"],
               processor={"image_processor_type": "CLIPImageProcessor", "image_mean": DROP,
                          "image_std": DROP, "size": {"height": 12, "width": 12},
                          "do_center_crop": False, "resample": 2})
    yield good("five channels come as numbers", "timm 5 channels")


def hf_cases():
    """Hugging Face's config.json."""
    changes = {
        "gelu_new": ({"hidden_act": "gelu_new"}, {"act": GELU_TANH}),
        "gelu_pytorch_tanh": ({"hidden_act": "gelu_pytorch_tanh"}, {"act": GELU_TANH}),
        "gelu_python": ({"hidden_act": "gelu_python"}, {}),
        "no hidden_act": ({"hidden_act": DROP}, {}),
        "layer_norm_eps": ({"layer_norm_eps": 1e-5}, {"norm_eps": 1e-5}),
        "no layer_norm_eps": ({"layer_norm_eps": DROP}, {}),
        "num_attention_heads": ({"num_attention_heads": 4}, {"num_heads": 4, "head_dim": 4}),
        "image_size of two": ({"image_size": [12, 12]}, {}),
        "patch_size of two": ({"patch_size": [4, 4]}, {}),
        "name on the hub": ({"_name_or_path": "google/vit-x"}, {"architecture": "google/vit-x"}),
        "name is a path": ({"_name_or_path": "/home/x/vit"}, {}),
        "name is a relative path": ({"_name_or_path": "./vit"}, {}),
    }
    for name, (config, expected) in changes.items():
        yield good(name, "ViT", expected, config=config)
    yield good("DeiT: gelu_new", "DeiT", {"act": GELU_TANH}, config={"hidden_act": "gelu_new"})


def hf_refusals():
    """Values of Hugging Face's config.json that cannot be used."""
    changes = {
        "hidden_act silu": ("hidden_act", "silu", "silu"),
        "hidden_act 1": ("hidden_act", 1, "hidden_act"),
        "num_labels": ("num_labels", 8, "num_labels"),
        "image_size": ("image_size", 24, ["position", "24x24"]),
        "image_size is text": ("image_size", "12", "image_size"),
        "no image_size stands for 224": ("image_size", DROP, "224x224"),
        "patch_size": ("patch_size", 3, "patch_size"),
        "hidden_size": ("hidden_size", 32, "hidden_size"),
        "num_hidden_layers": ("num_hidden_layers", 2, "num_hidden_layers"),
        "intermediate_size": ("intermediate_size", 32, "intermediate_size"),
        "num_channels": ("num_channels", 1, "num_channels"),
        "num_attention_heads 5": ("num_attention_heads", 5, "5 heads"),
        "no num_attention_heads stands for 12": ("num_attention_heads", DROP, "12 heads"),
        "layer_norm_eps -1": ("layer_norm_eps", -1, "layer_norm_eps"),
        "qkv_bias false with biases": ("qkv_bias", False, "qkv_bias"),
        "qkv_bias is text": ("qkv_bias", "yes", "qkv_bias"),
    }
    for name, (key, value, words) in changes.items():
        yield bad(name, "ViT", words, config={key: value})


def processor_cases():
    """preprocessor_config.json."""
    deit = dict(resize_size=(14, 14), interpolation=BICUBIC)
    shortest = {"size": {"shortest_edge": 14}, "do_center_crop": True}
    changes = {
        "size of height and width": ({"size": {"height": 12, "width": 12}}, {}),
        "shortest_edge and a crop": (
            {**shortest, "crop_size": {"height": 12, "width": 12}},
            {"resize": SHORTEST, **pair(14)}),
        "crop_size is a number": ({**shortest, "crop_size": 12}, {"resize": SHORTEST, **pair(14)}),
        "do_resize false": ({"do_resize": False}, {"resize": NONE, "resize_size": None}),
        "do_rescale false": ({"do_rescale": False}, {"rescale": 1}),
        "do_normalize false": ({"do_normalize": False}, PLAIN),
        "all three false": (
            {"do_resize": False, "do_rescale": False, "do_normalize": False},
            {"resize": NONE, "resize_size": None, "rescale": 1, **PLAIN}),
        "rescale_factor 1/255": ({"rescale_factor": 0.00392156862745098}, {}),
        "rescale_factor 1/127.5": ({"rescale_factor": 1 / 127.5}, {"rescale": 127.5}),
        "resample 2": ({"resample": 2}, {}),
        "resample 3": ({"resample": 3}, {"interpolation": BICUBIC}),
        "image_mean null": ({"image_mean": None, "image_std": [1, 2, 3]}, {"std": (1, 2, 3)}),
        "ViTFeatureExtractor": ({"feature_extractor_type": "ViTFeatureExtractor"}, {}),
        "ViTImageProcessor": ({"image_processor_type": "ViTImageProcessor"}, {}),
        "ViTImageProcessorFast": ({"image_processor_type": "ViTImageProcessorFast"}, {}),
        "DeiT's processor for a ViT": (
            {"image_processor_type": "DeiTImageProcessor", "size": 14, "crop_size": 12}, deit),
    }
    for name, (processor, expected) in changes.items():
        yield good(name, "ViT", expected, processor=processor)
    yield from deit_cases()


def deit_cases():
    """DeiT's processor, which resizes to 256 x 256 and crops."""
    old = {"size": 256, "crop_size": 12, "do_rescale": DROP, "rescale_factor": DROP,
           "feature_extractor_type": "DeiTFeatureExtractor"}
    yield good("DeiT: 256 x 256, then a crop", "DeiT")
    yield good("DeiT: two heads", "teacher")
    yield good("DeiT: sizes as numbers", "DeiT", processor=old)
    yield good("DeiT: no size", "DeiT", processor={"size": DROP})
    yield good("DeiT: no resample", "DeiT", processor={"resample": DROP})
    yield good("DeiT: resample 2", "DeiT", {"interpolation": BILINEAR}, processor={"resample": 2})
    yield good("DeiT: do_resize false", "DeiT", {"resize": NONE, "resize_size": None},
               processor={"do_resize": False})
    yield bad("DeiT: no crop_size stands for 224", "DeiT", "224x224",
              processor={"crop_size": DROP})
    yield bad("DeiT: no crop", "DeiT", "256x256", processor={"do_center_crop": False})


def processor_refusals():
    """Values of preprocessor_config.json that cannot be used."""
    yield from (bad(f"resample {n}", "ViT", f"resample {n}", processor={"resample": n})
                for n in (0, 1, 4, 5))
    changes = {
        "resample 6": ("resample", 6, "resample"),
        "resample is text": ("resample", "bicubic", "resample"),
        "size other than image_size": ("size", 14, "14x14"),
        "shortest_edge without a crop": ("size", {"shortest_edge": 12}, "shortest_edge"),
        "longest_edge": ("size", {"longest_edge": 12}, "size"),
        "height alone": ("size", {"height": 12}, "size"),
        "size is text": ("size", "a", "size"),
        "size 0": ("size", 0, "size"),
        "LevitImageProcessor": (
            "image_processor_type", "LevitImageProcessor",
            ["LevitImageProcessor", "--resize, --interpolation, --mean and --std together"]),
        "CLIPVisionProcessor": (
            "image_processor_type", "CLIPVisionProcessor", "CLIPVisionProcessor"),
        "four means": ("image_mean", [1, 1, 1, 1], "mean"),
        "an image_mean is text": ("image_mean", [1, 1, "x"], "image_mean"),
        "image_std 0": ("image_std", [0, 1, 1], "std"),
        "rescale_factor 0": ("rescale_factor", 0, "rescale_factor"),
        "rescale_factor -1": ("rescale_factor", -1, "rescale_factor"),
        "do_resize 3": ("do_resize", 3, "do_resize"),
        "do_rescale is text": ("do_rescale", "no", "do_rescale"),
        "do_normalize 0": ("do_normalize", 0, "do_normalize"),
    }
    for name, (key, value, words) in changes.items():
        yield bad(name, "ViT", words, processor={key: value})


def option_cases():
    """Options replace what the files say, each by itself and all together."""
    options = {
        ("--heads", "4"): dict(num_heads=4, head_dim=4),
        ("--eps", "1e-5"): dict(norm_eps=1e-5),
        ("--act", "gelu_tanh"): dict(act=GELU_TANH),
        ("--act", "gelu"): {},
        ("--size", "12"): {},
        ("--mean", "1,2,3"): dict(mean=(1, 2, 3)),
        ("--mean", ".25"): dict(mean=(0.25,) * 3),
        ("--std", "2,3,4"): dict(std=(2, 3, 4)),
        ("--interpolation", "bilinear"): dict(interpolation=BILINEAR),
        ("--interpolation", "bicubic"): dict(interpolation=BICUBIC),
        ("--resize", "15"): dict(resize=SHORTEST, **pair(15)),
        ("--resize", "20x30"): dict(resize=EXACT, resize_size=(20, 30)),
        ("--resize", "none"): dict(resize=NONE, resize_size=None),
        ("--crop-pct", "0.5"): dict(resize=SHORTEST, **pair(24)),
    }
    together = ("--heads 4 --eps 1e-5 --act gelu_tanh --size 12 --mean 1,2,3 --std 2 "
                "--resize 20x30 --interpolation bilinear").split()
    expected = dict(num_heads=4, head_dim=4, norm_eps=1e-5, act=GELU_TANH, mean=(1, 2, 3),
                    std=(2,) * 3, resize=EXACT, resize_size=(20, 30), interpolation=BILINEAR)
    for family in ("timm", "ViT", "DeiT"):
        for option, values in options.items():
            yield good(" ".join(option), family, values, options=option)
        yield good("all options together", family, expected, options=tuple(together))
    oblong = dict(img_size=(8, 20), resize_size=(8, 22))
    for act, number in (("quick_gelu", 2), ("relu", 4)):
        yield good(f"act_layer {act}", "timm", dict(act=number),
                   config={"model_args.act_layer": act})
        yield good(f"hidden_act {act}", "ViT", dict(act=number), config={"hidden_act": act})
        yield good(f"--act {act}", "timm", dict(act=number), options=("--act", act))
    yield good("quickgelu in the name", "timm", dict(act=2, architecture="vit_clip_quickgelu_224"),
               config={"architecture": "vit_clip_quickgelu_224"})
    yield good("--size 8x20", "timm oblong", oblong, options=("--size", "8x20", "--heads", "2"))
    yield bad("--size 8x24", "timm oblong", ["pos_embed", "neither the grid of 2x6"],
              options=("--size", "8x24", "--heads", "2"))
    yield good("input_size other than the positions'", "timm",
               dict(img_size=(16, 16), resize_size=(17, 17)), words=["3x3", "resampled to 4x4"],
               config={"pretrained_cfg.input_size": [3, 16, 16]})
    yield good("--size other than the recipe's", "ViT",
               dict(img_size=(24, 24), resize_size=(24, 24), pos_resample=1),
               words=["resampled to 6x6, bicubic as"], options=("--size", "24"))
    yield good("--pos-resample", "ViT",
               dict(img_size=(24, 24), resize_size=(24, 24), pos_resample=4),
               words=["bilinear (--pos-resample)"],
               options=("--size", "24", "--pos-resample", "bilinear"))
    yield bad("--pos-resample x", "ViT", "bicubic-offset", options=("--pos-resample", "x"))


def replacing_cases():
    """An option also stands in for a value that would be refused."""
    yield good("--act for quick_gelu", "timm", options=("--act", "gelu"),
               config={"model_args.act_layer": "quick_gelu"})
    yield good("--interpolation for lanczos", "timm", options=("--interpolation", "bicubic"),
               config={"pretrained_cfg.interpolation": "lanczos"})
    yield good("--resize for crop_mode border", "timm", options=("--resize", "13"),
               config={"pretrained_cfg.crop_mode": "border"})
    yield good("--crop-pct for another input_size", "timm", options=("--crop-pct", "0.9"),
               config={"pretrained_cfg.input_size": [3, 16, 16], "model_args.img_size": 12})
    yield good("--size for another image_size", "ViT", options=("--size", "12"),
               config={"image_size": 24})
    yield good("--eps for layer_norm_eps 0", "ViT", options=("--eps", "1e-12"),
               config={"layer_norm_eps": 0})
    yield good("--heads for num_attention_heads 5", "ViT", options=("--heads", "2"),
               config={"num_attention_heads": 5})
    yield good("--act for hidden_act relu", "ViT", options=("--act", "gelu"),
               config={"hidden_act": "relu"})
    yield good("--interpolation for resample 1", "ViT", options=("--interpolation", "bilinear"),
               processor={"resample": 1})
    yield good("--resize for a size that does not fit", "ViT", options=("--resize", "12x12"),
               processor={"size": 14})
    for dtype in ("f32", "f16", "bf16", "int8", "int8x", "int4"):
        yield good(f"--dtype {dtype} changes no number of the header", "timm",
                   options=("--dtype", dtype))
    yield good("--mean and --std for do_normalize false", "ViT", processor={"do_normalize": False},
               options=("--mean", ".5", "--std", ".5"))


def option_refusals():
    """Options that cannot be used."""
    options = ["--mean 1,2", "--mean 1,2,3,4,5", "--mean x", "--mean 1,,2", "--std 0", "--std -1",
               "--std 1,2", "--eps 0", "--eps nan", "--eps -1", "--eps 1e39", "--heads 0",
               "--heads 2x", "--heads 3", "--size 12x", "--size 0", "--size 12x12x12",
               "--crop-pct 0", "--crop-pct 1e-9", "--crop-pct inf", "--act silu",
               "--interpolation nearest", "--resize -3", "--resize 5x", "--resize x",
               "--labels nowhere.txt", "--pos-embed sincos1d", "--pos-embed x",
               "--dtype x", "--dtype F16", "--dtype int", "--dtype 8"]
    for option in options:
        name, value = option.split()
        word = {"--heads 3": "3 heads", "--crop-pct 1e-9": "crop_pct"}.get(option, name[2:])
        word = value if name == "--labels" else word
        yield bad(option, "timm", word, options=(name, value))
    yield bad("--eps 1e-60", "timm", "epsilon", options=("--eps", "1e-60"))
    yield bad("--mean with nothing", "timm", "--mean", options=("--mean", ""))
    yield bad("--dtype with nothing", "timm", "--dtype", options=("--dtype", ""))
    yield bad("--resize with --crop-pct", "timm", ["--resize", "--crop-pct"],
              options=("--resize", "5", "--crop-pct", "1"))


def label_cases():
    """Names of the classes in the config files."""
    mixed = {str(i): LETTERS[i] for i in (6, 2, 5, 0, 1, 3, 4)}
    words = ["Käse", "猫", 'a "b"', "c, d", "e\\f", "g/h", "😀"]
    letters = {"labels": LETTERS}
    yield good("no labels", "timm", words=["--labels"])
    yield good("label_names", "timm", letters, config={"label_names": LETTERS})
    yield good("labels of older files", "timm", letters, config={"labels": LETTERS})
    for key in ("label_names", "labels"):
        yield good(f"{key} in pretrained_cfg", "timm", letters,
                   config={f"pretrained_cfg.{key}": LETTERS})
    yield good("label_names by class", "timm", letters, config={"label_names": mixed})
    yield good("id2label in any order", "ViT", config={"id2label": mixed})
    yield good("id2label of all kinds of letters", "ViT", {"labels": words},
               config={"id2label": {str(i): word for i, word in enumerate(words)}})
    yield good("no id2label", "ViT", {"labels": []}, ["--labels"], config={"id2label": DROP})
    yield good("as many as num_labels", "ViT", config={"num_labels": 7})


def label_refusals():
    """Names in the config files that cannot be used."""
    good_map = {str(i): letter for i, letter in enumerate(LETTERS)}
    id2label = {
        "one": ({"0": "a"}, "class 1"),
        "none": ({}, "class 0"),
        "eight": ({**good_map, "7": "h"}, "classes"),
        "key -1": ({**good_map, "-1": "a"}, "-1"),
        "key x": ({**good_map, "x": "a"}, "x"),
        "empty key": ({**good_map, "": "a"}, "number"),
        "keys 0 and 00": ({**good_map, "00": "b"}, "two labels for class 0"),
        "a number": ({**good_map, "0": 3}, "string"),
        "a line break": ({**good_map, "3": "a\nb"}, "label 3"),
        "text": ("abcdefg", "label"),
    }
    for name, (value, words) in id2label.items():
        yield bad(f"id2label: {name}", "ViT", ["config.json", words], config={"id2label": value})
    yield bad("label_names: three", "timm", "class 3", config={"label_names": LETTERS[:3]})
    yield bad("label_names: eight", "timm", "classes", config={"label_names": LETTERS + ["h"]})


def labels_file_cases():
    """--labels with a file: one name a line, or a JSON list."""
    texts = {
        "lines": "a\nb\nc\nd\ne\nf\ng\n",
        "no line break at the end": "a\nb\nc\nd\ne\nf\ng",
        "lines of Windows": "\ufeffa\r\nb\r\nc\r\nd\r\ne\r\nf\r\ng\r\n",
        "a JSON list": json.dumps(LETTERS),
        "a JSON list after a space": " \n" + json.dumps(LETTERS, indent=1) + "\n",
        "a JSON list after a byte order mark": "\ufeff" + json.dumps(LETTERS),
        "empty lines at the end": "a\nb\nc\nd\ne\nf\ng\n\n\n",
        "blank lines at the end": "a\r\nb\r\nc\r\nd\r\ne\r\nf\r\ng\r\n \t\r\n\r\n",
        "a JSON object": json.dumps({str(i): LETTERS[i] for i in (3, 1, 0, 2, 6, 5, 4)}),
        "a JSON object of synset and name": json.dumps(
            {str(i): [f"n{i:08}", letter] for i, letter in enumerate(LETTERS)}),
        "a JSON list of synset and name": json.dumps([["n0", letter] for letter in LETTERS]),
        "a config.json": json.dumps(
            {"model_type": "vit", "id2label": {str(i): x for i, x in enumerate(LETTERS)}}),
        "timm's config.json": json.dumps({"pretrained_cfg": {"label_names": LETTERS}}),
    }
    for name, text in texts.items():
        yield good(f"--labels: {name}", "timm", {"labels": LETTERS},
                   options=("--labels", "names"), files={"names": text.encode()})
    words = ["Käse", "b c", "猫", " d", "e,f", "", "g"]
    text = "\n".join(words).encode()
    yield good("--labels over id2label", "ViT", {"labels": words}, ["line 6 is empty"],
               options=("--labels", "names"), files={"names": text})
    yield good("--labels for an id2label that is too short", "ViT", {"labels": LETTERS},
               options=("--labels", "names"), files={"names": b"a\nb\nc\nd\ne\nf\ng\n"},
               config={"id2label": {"0": "a"}})
    names = ViT_B_16_Weights.IMAGENET1K_V1.meta["categories"]
    yield good("--labels imagenet-1k", "timm 1000", {"labels": names},
               options=("--labels", "imagenet-1k"))
    for name, count, first, last in (("cifar-10", 10, "airplane", "truck"),
                                     ("cifar-100", 100, "apple", "worm")):
        yield good(f"--labels {name}", f"timm {count}", {"labels": None, "first": first, "last": last},
                   options=("--labels", name))
    for name in ("imagenet-1k", "cifar-10", "cifar-100"):
        yield bad(f"--labels {name} for seven classes", "timm", [name, "7 classes"],
                  options=("--labels", name))


def labels_file_refusals():
    """--labels with a file that cannot be used."""
    texts = {
        "two lines": (b"a\nb\n", ["too few", "2 lines for 7 classes", "class 2"]),
        "eight lines": (b"a\n" * 7 + b"h\n", ["line 8 ('h')", "too many", "classes are 7"]),
        "no line": (b"", "class 0"),
        "empty lines alone": (b"\n\n\n\n\n\n\n", "class 0"),
        "a tab": (b"a\nb\tc\nd\ne\nf\ng\nh", ["line 2", "tab", "byte 2"]),
        "a control character": (b"a\nb\nxy\x1bz\nd\ne\nf\ng", ["line 3", "U+001B", "byte 3"]),
        "a control character of two bytes": (b"a\n\xc2\x85\nd\ne\nf\ng\nh", ["line 2", "U+0085"]),
        "a NUL": (b"a\nb\0c\nd\ne\nf\ng\nh", ["line 2", "NUL"]),
        "not UTF-8": (b"a\nb\xff\nc\nd\ne\nf\ng\n", ["line 2", "UTF-8 at byte 2", "0xFF"]),
        "Latin-1": ("a\nb\nc\nd\nKäse\nf\ng\n".encode("latin-1"), ["line 5", "UTF-8 at byte 2"]),
        "UTF-16": ("a\nb\n".encode("utf-16"), "UTF-16"),
        "a JSON list of one": (b'["a"]', ["too few", "class 1"]),
        "a JSON list of numbers": (b"[1,2,3,4,5,6,7]", ["label 0", "string"]),
        "a JSON list with a tab": (b'["a","b","c\\td","d","e","f","g"]', ["label 2", "tab"]),
        "a JSON object of five": (b'{"0":"a","1":"b","2":"c","3":"d","6":"g"}',
                                  ["too few", "class 4"]),
        "a JSON object with class 7": (b'{"7":"h"}', ["label 7", "too many"]),
        "a JSON object of names": (b'{"a":0}', "'a' is not the number of a class"),
        "a JSON object of three strings each": (b'{"0":["a","b","c"]}', ["label 0", "synset"]),
        "a broken JSON list": (b'["a"', "JSON"),
    }
    for name, (data, word) in texts.items():
        words = [word] if isinstance(word, str) else word
        yield bad(f"--labels: {name}", "timm", ["names", *words],
                  options=("--labels", "names"), files={"names": data})


def file_cases():
    """Config files that are absent, empty or no JSON."""
    for text in ("", "[]", "{", '{"a": NaN}', "nul", "{}x", '"x"'):
        shown = text or "nothing"
        yield bad(f"config.json: {shown}", "timm", CONFIG, config=text, options=("--heads", "2"))
        yield bad(f"preprocessor_config.json: {shown}", "ViT", PROCESSOR, processor=text)
    bare = dict(architecture="source", **HALF)
    for config, name in ((ABSENT, "no config.json"), ("{}", "config.json: {}")):
        yield good(name, "timm", bare, ["recipe"], config=config, options=("--heads", "2"))
    yield bad("no config.json, heads not known", "timm", "--heads", config=ABSENT)
    yield good("no preprocessor_config.json", "ViT", words=[PROCESSOR, "recipe"], processor=ABSENT)
    yield good("DeiT: no preprocessor_config.json", "DeiT", {**HALF, **pair(13)}, ["recipe"],
               processor=ABSENT)
    yield good("preprocessor_config.json: {}, and options", "ViT",
               options=("--resize", "12x12"), processor="{}")
    yield bad("preprocessor_config.json: {} stands for 224", "ViT", "224x224", processor="{}")


def assumed_cases():
    """What is usual stands in for what no file says, and stderr says so."""
    yield good("64 wide heads", "timm wide",
               words=["assumed 2, 64 wide", "epsilon", "gelu", "global_pool", "img_size",
                      "recipe"])
    yield good("16 heads of width 1152", "timm 1152", words=["assumed 16, 72 wide"])
    yield good("avg where there is fc_norm", "timm wide avg", words=["assumed avg"])
    yield bad("positions of no square", "timm oblong", "--size", options=("--heads", "2"))
    yield good("torchvision at 224", "torchvision", words=["assumed 1, 64 wide", "recipe"])
    yield good("torchvision at another size", "torchvision 12", words=["recipe"],
               options=("--heads", "2"))


def timm_key_cases():
    """Keys that say nothing about the result, or what is computed anyway."""
    args = {"drop_rate": 0.1, "drop_path_rate": 0.1, "weight_init": "skip", "init_values": None,
            "dynamic_img_size": True, "strict_img_size": False, "no_embed_class": False,
            "class_token": True, "reg_tokens": 0, "mlp_ratio": 1.5, "num_classes": 7,
            "qk_norm": False, "final_norm": True, "pre_norm": False, "pos_embed": "learn",
            "norm_layer": "LayerNorm", "pool_include_prefix": False, "block_fn": None}
    yield good("model_args that change nothing", "timm",
               config={f"model_args.{key}": value for key, value in args.items()})
    recipe = {"tag": "x", "url": "", "hf_hub_id": "timm/", "license": "mit", "label_offset": 0,
              "test_input_size": [3, 16, 16], "fixed_input_size": True, "pool_size": None,
              "num_classes": 1000, "label_descriptions": {"a": "b"}}
    yield good("keys of pretrained_cfg that change nothing", "timm",
               config={f"pretrained_cfg.{key}": value for key, value in recipe.items()})
    yield good("keys at the top level that change nothing", "timm",
               config={**recipe, "num_classes": 7, "model_type": "timm_wrapper",
                       "torch_dtype": "float32"})
    yield good("two recipes", "timm", words=["pretrained_cfg's"], config={"crop_pct": 0.5})
    yield good("an unknown key that is null", "timm", config={"model_args.x": None, "x": None})
    yield good("--ignore-key", "timm", words=["qk_norm is left out", "xyz is left out"],
               config={"model_args.qk_norm": True, "xyz": 1},
               options=("--ignore-key", "qk_norm", "--ignore-key", "xyz"))
    yield good("--ignore-key of a known key", "timm", {"interpolation": BICUBIC},
               config={"pretrained_cfg.interpolation": "lanczos"},
               options=("--ignore-key", "interpolation"))
    yield good("pre_logits", "timm pre_logits", {"pre_logits": 9}, ["pre_logits.fc.weight is applied"])
    yield good("torchvision's names with a config.json", "torchvision 12", words=["labels alone"],
               config='{"x": 1}', options=("--heads", "2"))


def timm_key_refusals():
    """Keys of timm's that change the result, and unknown ones."""
    other = {"qk_norm": True, "final_norm": False, "pre_norm": True, "pos_embed": "none",
             "norm_layer": "rmsnorm", "block_fn": "ParallelScalingBlock", "mlp_layer": "SwiGLU",
             "attn_layer": "diff", "scale_mlp_norm": True, "scale_attn_norm": True,
             "embed_layer": "HybridEmbed", "dynamic_img_pad": True, "mlp_ratio": 2,
             "class_token": False, "reg_tokens": 3, "num_classes": 8, "xyz": False}
    for key, value in other.items():
        yield bad(f"model_args: {key} {value}", "timm", [CONFIG, key],
                  config={f"model_args.{key}": value})
    for key, value in {"label_offset": 1, "xyz": "a"}.items():
        yield bad(f"pretrained_cfg: {key}", "timm", f"pretrained_cfg.{key}",
                  config={f"pretrained_cfg.{key}": value})
    for key, value in {"hidden_size": 16, "num_labels": 8, "model_type": "vit", "xyz": []}.items():
        yield bad(key, "timm", key, config={key: value})
    yield bad("--ignore-key of none", "timm", "xyz", options=("--ignore-key", "xyz"))


def hf_key_cases():
    """Keys of Hugging Face's config.json."""
    same = {"torch_dtype": "float32", "transformers_version": "4.57.0", "pruned_heads": {},
            "is_decoder": False, "use_cache": True, "encoder_stride": 16, "pooler_act": "tanh",
            "attention_probs_dropout_prob": 0.1, "problem_type": None, "_commit_hash": "1"}
    yield good("keys that change nothing", "ViT", config=same)
    other = {"pruned_heads": {"0": [1]}, "model_type": "beit", "architecture": "vit_tiny",
             "auto_map": {"AutoModel": "a.b"}, "xyz": 0}
    for key, value in other.items():
        yield bad(key, "ViT", [CONFIG, key, "--ignore-key"], config={key: value})
    yield good("--ignore-key xyz", "ViT", config={"xyz": 0}, options=("--ignore-key", "xyz"))


def processor_key_cases():
    """Keys of preprocessor_config.json."""
    same = {"do_pad": False, "rescale_offset": False, "do_convert_rgb": True, "data_format": "x",
            "return_tensors": "pt", "do_flip_channel_order": False}
    yield good("keys that change nothing", "ViT", processor=same)
    other = {"do_pad": True, "rescale_offset": True, "do_flip_channel_order": True, "xyz": 1,
             "crop_pct": 0.9, "size": {"shortest_edge": 12, "longest_edge": 20}}
    for key, value in other.items():
        yield bad(f"processor: {key}", "ViT", [PROCESSOR, key, "--resize, --interpolation"],
                  processor={key: value, "do_center_crop": True, "crop_size": 12})


def processor_class_cases():
    """The processors of other models, with their defaults."""
    kind = "image_processor_type"
    shortest = dict(resize=SHORTEST, interpolation=BICUBIC)
    none = {"image_mean": DROP, "image_std": DROP, "crop_size": 12}
    for name in ("BitImageProcessor", "CLIPImageProcessor", "CLIPImageProcessorFast"):
        yield good(f"{name}: a number is the short side", "ViT", {**shortest, **pair(14)},
                   processor={kind: name, "size": 14, "crop_size": 12})
        yield good(f"{name}: default_to_square", "ViT",
                   {**shortest, "resize": EXACT, **pair(14)},
                   processor={kind: name, "size": 14, "default_to_square": True, "crop_size": 12})
        yield good(f"{name}: defaults", "ViT", {**shortest, **pair(224), **CLIP},
                   processor={kind: name, "size": DROP, **none})
        yield good(f"{name}: height and width", "ViT",
                   processor={kind: name, "size": {"height": 12, "width": 12}, "resample": 2,
                              "do_center_crop": False})
    yield good("CLIPFeatureExtractor", "ViT", {**shortest, **pair(12)},
               processor={"feature_extractor_type": "CLIPFeatureExtractor", **none, "size": 12,
                          "image_mean": [0.5] * 3, "image_std": [0.5] * 3})
    yield bad("BitImageProcessor without a crop", "ViT", "shortest_edge",
              processor={kind: "BitImageProcessor", "do_center_crop": False, "size": 12})
    convnext = {kind: "ConvNextImageProcessor", "size": {"shortest_edge": 12}}
    yield good("ConvNext: below 384", "ViT", dict(resize=SHORTEST, **pair(13)), processor=convnext)
    yield good("ConvNext: crop_pct", "ViT", dict(resize=SHORTEST, **pair(24)),
               processor={**convnext, "crop_pct": 0.5})
    yield good("ConvNext: from 384 on", "ViT 384",
               processor={**convnext, "size": 384, "crop_pct": 0.5})
    yield good("ConvNext: defaults", "ViT 384",
               processor={kind: "ConvNextFeatureExtractor", "size": DROP, **none,
                          "crop_size": DROP})
    yield good("ConvNext: do_resize false", "ViT", {"resize": NONE, "resize_size": None},
               processor={**convnext, "do_resize": False})
    yield bad("ConvNext: height and width", "ViT", "shortest_edge",
              processor={**convnext, "size": {"height": 12, "width": 12}})
    yield bad("ConvNext: do_center_crop", "ViT", "do_center_crop",
              processor={**convnext, "do_center_crop": True})
    yield bad("ConvNext: crop_pct 0", "ViT", "crop_pct", processor={**convnext, "crop_pct": 0})


def wrapper_cases():
    """TimmWrapperImageProcessor, and processors beside timm's config.json."""
    recipe = {"input_size": [3, 12, 12], "interpolation": "bicubic", "crop_pct": 0.9,
              "crop_mode": "center", "mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]}
    wrapper = {"image_processor_type": "TimmWrapperImageProcessor", "architecture": "vit_x",
               "pretrained_cfg": recipe, "data_config": recipe}
    expected = dict(resize=SHORTEST, interpolation=BICUBIC, crop=ROUND, mean=(0.1, 0.2, 0.3),
                    std=(0.4, 0.5, 0.6), **pair(13))
    yield good("TimmWrapperImageProcessor", "ViT", expected, processor=json.dumps(wrapper))
    yield good("TimmWrapperImageProcessor, options", "ViT", {**expected, "mean": (1,) * 3},
               processor=json.dumps(wrapper), options=("--mean", "1"))
    yield bad("TimmWrapperImageProcessor, lanczos", "ViT", "lanczos", processor=json.dumps(
        {**wrapper, "pretrained_cfg": {**recipe, "interpolation": "lanczos"}}))
    yield bad("TimmWrapperImageProcessor, unknown key", "ViT", "pretrained_cfg.xyz",
              processor=json.dumps({**wrapper, "pretrained_cfg": {**recipe, "xyz": 1}}))
    yield good("TimmWrapperImageProcessor of timm's", "timm", words=["is not read"],
               processor=json.dumps(wrapper))
    yield good("TimmWrapperImageProcessor without config.json", "timm",
               {**expected, "architecture": "source"}, config=ABSENT, options=("--heads", "2"),
               processor=json.dumps(wrapper))
    yield good("ViTImageProcessor without config.json", "timm",
               dict(resize=EXACT, interpolation=BILINEAR, crop=FLOOR, architecture="source",
                    **HALF, **pair(12)), config=ABSENT, options=("--heads", "2"),
               processor='{"size": 12, "image_processor_type": "ViTImageProcessor"}')


def replaced_processor_cases():
    """Options that give the whole recipe stand for a file that cannot be used."""
    whole = ("--resize", "12x12", "--interpolation", "bilinear", "--mean", ".5", "--std", ".5")
    changes = {
        "an unknown class": {"image_processor_type": "LevitImageProcessor"},
        "do_pad": {"do_pad": True},
        "an unknown key": {"xyz": 1},
        "longest_edge": {"size": {"longest_edge": 12}},
    }
    for name, processor in changes.items():
        yield good(f"options for {name}", "ViT", words=["note: " + PROCESSOR, "replace the file"],
                   processor=processor, options=whole)
        yield bad(f"not enough options for {name}", "ViT", "--std together", processor=processor,
                  options=whole[:6])
    yield good("--ignore-key for do_pad", "ViT", processor={"do_pad": True},
               options=("--ignore-key", "do_pad"))


def output_cases():
    """What the outputs are."""
    kinds = {"single_label_classification": SOFTMAX, "multi_label_classification": SIGMOID,
             "regression": NUMBER}
    for family in ("ViT", "timm"):
        for kind, output in kinds.items():
            yield good(f"problem_type {kind}", family, {"output": output},
                       config={"problem_type": kind})
        yield bad("problem_type x", family, ["problem_type x", "--output"],
                  config={"problem_type": "x"})
        yield good("--output for problem_type x", family, {"output": SIGMOID},
                   config={"problem_type": "x"}, options=("--output", "sigmoid"))
        for name, output in (("softmax", SOFTMAX), ("sigmoid", SIGMOID), ("number", NUMBER)):
            yield good(f"--output {name}", family, {"output": output},
                       config={"problem_type": "regression"}, options=("--output", name))
    for family in ("ViT one", "timm one"):
        yield good("one class", family, {"output": NUMBER}, ["one class", "--output"])
        yield good("one class, --output sigmoid", family, {"output": SIGMOID},
                   options=("--output", "sigmoid"))
        yield good("one class, softmax", family, {"output": SOFTMAX}, ["always 1"],
                   config={"problem_type": "single_label_classification"})
    yield bad("--output x", "timm", "--output", options=("--output", "x"))


def all_cases():
    """All cases."""
    for group in (timm_cases, pooling_cases, timm_refusals, channel_cases, hf_cases, hf_refusals,
                  processor_cases, processor_refusals, option_cases, replacing_cases,
                  option_refusals, label_cases, label_refusals, labels_file_cases,
                  labels_file_refusals, file_cases, assumed_cases, timm_key_cases,
                  timm_key_refusals, hf_key_cases, processor_key_cases, processor_class_cases,
                  wrapper_cases, replaced_processor_cases, output_cases):
        yield from group()


# ---- running them ----------------------------------------------------------------------------


def changed(values, changes):
    """The text of a config file with changes; a dot in a key leads into an object."""
    values = json.loads(json.dumps(values))
    for key, value in changes.items():
        *path, last = key.split(".")
        place = values
        for step in path:
            place = place.setdefault(step, {})
        if value is DROP:
            place.pop(last, None)
        else:
            place[last] = value
    return json.dumps(values)


def write_configs(family, case):
    """Put the case's config files into the family's folder."""
    files = ((CONFIG, family.source.config, case.config),
             (PROCESSOR, family.source.preprocessor, case.processor))
    for name, values, changes in files:
        path = os.path.join(family.folder, name)
        if os.path.exists(path):
            os.remove(path)
        if changes is not ABSENT and (values is not None or isinstance(changes, str)):
            text = changes if isinstance(changes, str) else changed(values, changes)
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)


def convert(programs, family, case, folder):
    """(exit status, message, path of the file) of a case."""
    target = os.path.join(folder, "model.vit")
    if os.path.exists(target):
        os.remove(target)
    for name, data in case.files.items():
        with open(os.path.join(folder, name), "wb") as file:
            file.write(data)
    options = [os.path.join(folder, o) if o in case.files else o for o in case.options]
    write_configs(family, case)
    status, _, message = programs.run("vit-convert", *options, family.folder, target)
    return status, message.strip(), target


def same(key, expected, actual):
    """Whether a field is as expected; None stands for any value."""
    if expected is None or key in ("labels", "architecture", "first", "last"):
        return expected is None or expected == actual
    if key in ("mean", "std"):
        expected = (*expected, *[float(key == "std")] * (4 - len(expected)))
    return np.array_equal(np.float32(expected), np.float32(actual))


def differences(expected, path):
    """What differs in a converted file."""
    try:
        header, _, labels = vit_format.read(path, checksums=False)
    except (OSError, ValueError) as error:
        return str(error)
    header["labels"] = labels
    header["first"], header["last"] = (labels[0], labels[-1]) if labels else ("", "")
    return ", ".join(f"{key} is {str(header[key])[:60]} instead of {str(value)[:60]}"
                     for key, value in expected.items() if not same(key, value, header[key]))


def problem_of(programs, family, case, folder):
    """What is wrong with a case; nothing where all is well."""
    status, message, path = convert(programs, family, case, folder)
    if status != (1 if case.expected is None else 0):
        return f"status {status}: {message}"
    for word in case.words:
        if word not in message:
            return f"no '{word}' in: {message}"
    if case.expected is None:
        left = [name for name in os.listdir(folder) if name.startswith("model.vit")]
        return f"left behind: {left}" if left else ""
    return differences({**family.expected, **case.expected}, path)


def run_cases(programs, part, folder):
    """Run all cases, a line for each. Returns how many passed, and how many failed."""
    families, counts = make_families(), [0, 0]
    for i, family in enumerate(families.values()):
        family.folder = os.path.join(folder, str(i), "source")
        checkpoints.Checkpoint(family.source.tensors).save(family.folder)
    for case in all_cases():
        name = f"{case.family}: {case.name}"
        if part not in name:
            continue
        problem = problem_of(programs, families[case.family], case, folder)
        counts[bool(problem)] += 1
        print(f"{name:60} {'FAIL ' + problem if problem else 'ok'}", flush=True)
    return counts


def main():
    """Run the cases and print the count."""
    torch.set_grad_enabled(False)
    torch.set_num_threads(2)
    with tempfile.TemporaryDirectory() as folder:
        part = sys.argv[2] if len(sys.argv) > 2 else ""
        passed, failed = run_cases(Programs(sys.argv[1]), part, folder)
    print(f"{passed} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
