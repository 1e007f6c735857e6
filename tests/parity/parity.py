"""Compares vit-convert and vit-classify with PyTorch, on models with random weights.

    parity.py BUILD [PART]

BUILD is the folder with the programs; with PART, only the cases with PART in their name run. The
oracle is torchvision, or plain_vit.py where torchvision has no such model. A case passes where
no logit is further from PyTorch's in float32 than 1e-5 of the largest. Prints for each case the
largest error, relative to the largest logit, against PyTorch in float32 and in float64; then 'N
passed, N failed'.
"""
import copy
import os
import shutil
import sys
import tempfile
from functools import partial

import numpy as np
import torch
from torch import nn
from torchvision.models import VisionTransformer

import checkpoints
import positions
import vit_format
from plain_vit import Config, PlainViT, randomise
from programs import Programs

TOLERANCE = 1e-5


class Session:
    """The programs, a folder for files, and the count of the cases."""

    def __init__(self, build, part, folder):
        self.programs, self.part, self.folder = Programs(build), part, folder
        self.passed = self.failed = 0

    def wants(self, name):
        """Whether a case is to run."""
        return self.part in name

    def report(self, name, problem, detail=""):
        """Print a case's line and count it."""
        self.passed, self.failed = self.passed + (not problem), self.failed + bool(problem)
        verdict = f"FAIL {problem}" if problem else "ok"
        print(f"{name:52} {detail:27} {verdict}", flush=True)

    def fresh(self):
        """An empty folder."""
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder)
        return self.folder


def relative_error(logits, reference):
    """Largest difference over the largest logit of the reference."""
    reference = reference.detach().double().numpy().ravel()
    return np.abs(logits - reference).max() / np.abs(reference).max()


def random_pixels(config, seed):
    """(1, C, H, W), normally distributed."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(1, config.in_chans, *config.img_size, generator=generator)


def references(model, pixels):
    """Logits in float32 and in float64."""
    return model(pixels), copy.deepcopy(model).double()(pixels.double())


def compare_logits(session, name, path, pixels, expected):
    """Run the model in the file and report the errors."""
    logits = session.programs.logits(path, pixels, session.folder)
    single, double = (relative_error(logits, reference) for reference in expected)
    # an odd small model can amplify rounding beyond the tolerance, PyTorch's own as well
    problem = "" if min(single, double) <= TOLERANCE else "logits differ"
    session.report(name, problem, f"f32 {single:.1e}  f64 {double:.1e}")


def check(session, name, checkpoint, pixels, expected):
    """Save, convert, run, compare."""
    if not session.wants(name):
        return
    folder = session.fresh()
    path = os.path.join(folder, "model.vit")
    try:
        made = checkpoint()
        session.programs.convert(made.options, made.save(os.path.join(folder, "source")), path)
        compare_logits(session, name, path, pixels, expected)
    except (RuntimeError, ValueError) as error:
        session.report(name, str(error))


def labels_of(config):
    """A name for each class."""
    return [f"class {i}" for i in range(config.num_classes)]


def torchvision_model(c, seed):
    """torchvision's model of a config, with random weights."""
    model = VisionTransformer(
        c.img_size[0], c.patch_size[0], c.depth, c.num_heads, c.embed_dim, c.mlp_dim,
        num_classes=c.num_classes, representation_size=c.pre_logits or None,
        norm_layer=partial(nn.LayerNorm, eps=c.norm_eps))
    return randomise(model, seed)


def plain_model(c, seed):
    """plain_vit's model of a config, with random weights."""
    return randomise(PlainViT(c), seed)


def check_plain_vit(session, name, c, model, pixels, expected):
    """The oracle of the other cases against torchvision."""
    name = f"{name}: plain_vit is torchvision"
    if not session.wants(name):
        return
    plain = PlainViT(c).eval()
    plain.load_state_dict(checkpoints.timm_names(model.state_dict()))
    actual = references(plain, pixels)
    single, double = (relative_error(a.double().numpy().ravel(), e)
                      for a, e in zip(actual, expected))
    problem = "" if single < TOLERANCE and double < 1e-13 else "logits differ"
    session.report(name, problem, f"f32 {single:.1e}  f64 {double:.1e}")


def square(img, patch, *rest, **more):
    """A Config of a square picture of three channels with square patches."""
    return Config((img, img), (patch, patch), 3, *rest, **more)


def torchvision_cases(session):
    """Models that torchvision has, under every source's names."""
    configs = {
        "Ti/16": square(224, 16, 1000, 192, 12, 3, mlp_dim=768),
        "S/16": square(224, 16, 1000, 384, 12, 6, mlp_dim=1536),
        "B/16": square(224, 16, 1000, 768, 12, 12, mlp_dim=3072),
        "patch 14": square(70, 14, 10, 96, 3, 6, mlp_dim=384),
        "depth 1, heads 1, 1 class": square(32, 8, 1, 40, 1, 1, mlp_dim=72),
        "depth 1, 1 patch, 7 classes": square(16, 16, 7, 24, 1, 2, mlp_dim=17),
        "width 36, head_dim 12": square(48, 16, 7, 36, 3, 3, mlp_dim=100),
        "width 50, head_dim 5": square(48, 8, 7, 50, 2, 10, mlp_dim=30),
        "width 80, head_dim 20": square(64, 16, 1000, 80, 2, 4, mlp_dim=320),
        "width 66, head_dim 33": square(45, 9, 33, 66, 2, 2, mlp_dim=131),
        "width 3, head_dim 1": square(12, 2, 3, 3, 2, 3, mlp_dim=1),
        "width 192, head_dim 192": square(64, 16, 17, 192, 2, 1, mlp_dim=200),
        "pre_logits 50": square(48, 16, 7, 48, 2, 3, mlp_dim=96, pre_logits=50),
        "pre_logits 5, 1000 classes": square(32, 8, 1000, 40, 2, 2, mlp_dim=96, pre_logits=5),
        "eps 1e-12": square(32, 8, 10, 48, 3, 3, mlp_dim=96, norm_eps=1e-12),
        "eps 1e-2": square(32, 8, 10, 48, 3, 3, mlp_dim=96, norm_eps=1e-2),
        "577 tokens": square(384, 16, 10, 64, 2, 4, mlp_dim=128),
    }
    for seed, (name, c) in enumerate(configs.items()):
        if any(session.wants(f"{name}: {source}") for source in NAMINGS):
            torchvision_case(session, name, c, seed)


NAMINGS = ("plain_vit is torchvision", "torchvision", "timm", "Hugging Face ViT",
           "Hugging Face DeiT")


def torchvision_case(session, name, c, seed):
    """One model under the names of all sources."""
    model = torchvision_model(c, seed)
    pixels = random_pixels(c, 1000 + seed)
    expected = references(model, pixels)
    state = checkpoints.timm_names(model.state_dict())
    check_plain_vit(session, name, c, model, pixels, expected)
    makers = {"torchvision": lambda: checkpoints.torchvision(c, state),
              "timm": lambda: checkpoints.timm(c, state, "vit_test_patch")}
    if not c.pre_logits:
        makers["Hugging Face ViT"] = lambda: checkpoints.hf_vit(c, state, labels_of(c))
    for source, maker in makers.items():
        check(session, f"{name}: {source}", maker, pixels, expected)
    if not c.pre_logits:
        deit_cases(session, name, c, seed)


def deit_cases(session, name, c, seed):
    """The distillation token: read by a second head, or by none."""
    for pool, kind in (("token", "DeiT"), ("distilled", "DeiT WithTeacher")):
        title = f"{name}: Hugging Face {kind}"
        if not session.wants(title) or (c.embed_dim > 400 and pool == "token"):
            continue
        config = copy.copy(c)
        config.dist_token, config.pool = True, pool
        model = plain_model(config, 500 + seed)
        pixels = random_pixels(config, 1500 + seed)
        maker = partial(checkpoints.hf_deit, config, model.state_dict(), labels_of(c))
        check(session, title, maker, pixels, references(model, pixels))


def small(**changes):
    """A small config with changes."""
    values = dict(img_size=(32, 32), patch_size=(8, 8), in_chans=3, num_classes=10, embed_dim=48,
                  depth=3, num_heads=3, mlp_dim=96)
    return Config(**{**values, **changes})


def plain_configs():
    """Models that torchvision does not have, under timm's names."""
    wide = dict(img_size=(24, 40), patch_size=(6, 10))
    return {
        "1 channel": small(in_chans=1),
        "5 channels": small(in_chans=5),
        "mean pooling": small(pool="avg"),
        "mean pooling, fc_norm": small(pool="avg", fc_norm=True),
        "mean pooling, fc_norm, no class token": small(pool="avg", fc_norm=True, class_token=False),
        "no class token": small(pool="avg", class_token=False),
        "mean of all tokens": small(pool="all", reg_tokens=2),
        "mean of all tokens, fc_norm": small(pool="all", fc_norm=True),
        "no bias of q, k and v": small(qkv_bias=False),
        "picture not square": small(img_size=(16, 56)),
        "patch not square": small(**wide),
        "picture no multiple of the patch": small(img_size=(37, 45)),
        "GELU's tanh form": small(act="gelu_tanh"),
        "distilled": small(dist_token=True, pool="distilled"),
        "4 registers": small(reg_tokens=4),
        "4 registers, no_embed_class": small(reg_tokens=4, no_embed_class=True),
        "4 registers, mean pooling": small(reg_tokens=4, pool="avg", fc_norm=True),
        "no_embed_class": small(no_embed_class=True),
        "LayerScale": small(layer_scale=True),
        "pre_logits": small(pre_logits=21),
        "mean pooling, pre_logits": small(pool="avg", fc_norm=True, pre_logits=48),
        "LayerScale, no bias, registers, no_embed_class": small(
            layer_scale=True, qkv_bias=False, reg_tokens=3, no_embed_class=True),
        "all at once": small(
            in_chans=1, num_classes=5, embed_dim=40, num_heads=5, pool="avg", fc_norm=True,
            qkv_bias=False, act="gelu_tanh", layer_scale=True, reg_tokens=2, **wide),
    }


def plain_cases(session):
    """plain_configs, converted from timm's names."""
    for seed, (name, c) in enumerate(plain_configs().items()):
        if session.wants(f"timm: {name}"):
            model, pixels = plain_model(c, seed), random_pixels(c, 2000 + seed)
            maker = partial(checkpoints.timm, c, model.state_dict(), "vit_test_patch")
            check(session, f"timm: {name}", maker, pixels, references(model, pixels))


def no_option_case(session):
    """Nothing but timm's two files: the converter knows the heads and epsilon by itself."""
    name = "timm: no options"
    if session.wants(name):
        c = small(embed_dim=128, num_heads=2)
        model, pixels = plain_model(c, 40), random_pixels(c, 2500)
        with torch.no_grad():
            model.patch_embed.proj.weight *= 1e-3  # so small that epsilon counts
            model.patch_embed.proj.bias *= 1e-3
            model.pos_embed *= 1e-2
            model.cls_token *= 1e-3
        checkpoint = checkpoints.timm(c, model.state_dict(), "vit_test_patch")
        checkpoint.options = []
        check(session, name, lambda: checkpoint, pixels, references(model, pixels))


def hf_cases(session):
    """What Hugging Face's config.json can say and torchvision's models cannot."""
    configs = {
        "1 channel": small(in_chans=1),
        "no bias of q, k and v": small(qkv_bias=False),
        "picture and patch not square": small(img_size=(24, 40), patch_size=(6, 10)),
        "gelu_pytorch_tanh": small(act="gelu_tanh"),
    }
    for seed, (name, c) in enumerate(configs.items()):
        model, pixels = plain_model(c, 50 + seed), random_pixels(c, 3000 + seed)
        maker = partial(checkpoints.hf_vit, c, model.state_dict(), labels_of(c))
        check(session, f"Hugging Face: {name}", maker, pixels, references(model, pixels))


def old_names():
    """Names that older files have: title, (config, checkpoint of a model, old and new part)."""
    deit = dict(dist_token=True, pool="distilled")
    hf = lambda c, state: checkpoints.hf_vit(c, state, labels_of(c))  # noqa: E731
    hf_deit = lambda c, state: checkpoints.hf_deit(c, state, labels_of(c))  # noqa: E731
    timm = lambda c, state: checkpoints.timm(c, state, "vit_test_patch")  # noqa: E731
    return {
        "torchvision: mlp.linear_1": (small(), checkpoints.torchvision, {
            "mlp.0.": "mlp.linear_1.", "mlp.3.": "mlp.linear_2."}),
        "timm: gamma_1": (small(layer_scale=True), timm, {
            "ls1.gamma": "gamma_1", "ls2.gamma": "gamma_2"}),
        "timm: pre_logits.weight": (small(pre_logits=21), timm, {"pre_logits.fc.": "pre_logits."}),
        "Hugging Face ViT: no prefix": (small(), hf, {"vit.": ""}),
        "Hugging Face DeiT WithTeacher: no prefix": (small(**deit), hf_deit, {"deit.": ""}),
    }


def old_name_cases(session):
    """The same checkpoints under older names."""
    for seed, (name, (c, maker, table)) in enumerate(old_names().items()):
        model, pixels = plain_model(c, 60 + seed), random_pixels(c, 3500 + seed)
        checkpoint = maker(c, model.state_dict())
        for new, old in table.items():
            checkpoint.tensors = {n.replace(new, old): t for n, t in checkpoint.tensors.items()}
        check(session, name, lambda: checkpoint, pixels, references(model, pixels))


def container_cases(session):
    """Half precision, and tensors spread over several files."""
    c = small()
    for seed, (name, dtype) in enumerate((("F16", torch.float16), ("BF16", torch.bfloat16))):
        model = plain_model(c, 70 + seed)
        stored = {key: tensor.to(dtype) for key, tensor in model.state_dict().items()}
        model.load_state_dict({key: tensor.float() for key, tensor in stored.items()})
        pixels = random_pixels(c, 4000 + seed)
        maker = partial(checkpoints.timm, c, stored, "vit_test_patch")
        check(session, f"safetensors: {name}", maker, pixels, references(model, pixels))
    model, pixels = plain_model(c, 75), random_pixels(c, 4010)
    for shards in (2, 5):
        checkpoint = checkpoints.hf_vit(c, model.state_dict(), labels_of(c))
        checkpoint.shards = shards
        check(session, f"safetensors: {shards} shards", lambda: checkpoint, pixels,
              references(model, pixels))


def position_cases(session):
    """Position embeddings that the converter computes."""
    for width in (32, 56):
        c = small(img_size=(32, width))
        grid = (*c.grid, c.embed_dim)
        tables = {
            "sincos1d": positions.sincos1d(c.tokens, c.embed_dim),
            "sincos2d": positions.sincos2d(*grid),
            "sincos2d-moco": positions.sincos2d(*grid, rows_first=True),
        }
        for seed, (kind, table) in enumerate(tables.items()):
            position_case(session, f"{kind}, {width} wide", c, kind, table, 80 + seed)


def position_case(session, name, c, kind, table, seed):
    """One table: the checkpoint lacks pos_embed."""
    model, pixels = plain_model(c, seed), random_pixels(c, 5000 + seed)
    with torch.no_grad():
        model.pos_embed.copy_(torch.from_numpy(table)[None])
    checkpoint = checkpoints.timm(c, model.state_dict(), "vit_test_patch")
    del checkpoint.tensors["pos_embed"]
    checkpoint.options += ["--pos-embed", kind]
    check(session, name, lambda: checkpoint, pixels, references(model, pixels))


def written_cases(session):
    """Models that only the .vit format can hold, written by vit_format.py."""
    configs = {
        "class token and mean in one head": small(pool="token_avg"),
        "the same with fc_norm": small(pool="token_avg", fc_norm=True),
        "the same with pre_logits": small(pool="token_avg", pre_logits=21),
        "class token with fc_norm": small(fc_norm=True),
        "head_dim 8 of width 48": small(head_dim=8),
        "head_dim 40 of width 20": small(embed_dim=20, head_dim=40),
        "distilled, 1 class": small(dist_token=True, pool="distilled", num_classes=1),
    }
    for seed, (name, c) in enumerate(configs.items()):
        name = f"vit_format: {name}"
        if not session.wants(name):
            continue
        model, pixels = plain_model(c, 90 + seed), random_pixels(c, 6000 + seed)
        path = os.path.join(session.fresh(), "model.vit")
        vit_format.write(path, *checkpoints.normal_form(model))
        try:
            compare_logits(session, name, path, pixels, references(model, pixels))
        except RuntimeError as error:
            session.report(name, str(error))


def file_cases(session):
    """The converter's file read by vit_format.py: every rule of the format, every number."""
    configs = plain_configs()
    configs["width 36, head_dim 12"] = small(embed_dim=36)
    for seed, (name, c) in enumerate(configs.items()):
        name = f"file: {name}"
        if session.wants(name):
            model = plain_model(c, 120 + seed)
            session.report(name, file_problem(session, model))


def file_problem(session, model):
    """What is wrong with the converted file; nothing where all is well."""
    c, folder = model.config, session.fresh()
    checkpoint = checkpoints.timm(c, model.state_dict(), "vit_test_patch")
    path = os.path.join(folder, "model.vit")
    try:
        source = checkpoint.save(os.path.join(folder, "source"))
        session.programs.convert(checkpoint.options, source, path)
        header, tensors, _ = vit_format.read(path)
    except (RuntimeError, ValueError) as error:
        return str(error)
    expected_header, expected = checkpoints.normal_form(model)
    for key, value in expected_header.items():
        close = np.allclose(np.float32(value), np.float32(header[key]), rtol=1e-7, atol=0)
        if not close and not (key == "final_norm" and c.pool == "token"):
            return f"{key} is {header[key]} instead of {value}"
    for key, value in expected.items():
        pairs = zip(value, tensors[key]) if isinstance(value, tuple) else [(value, tensors[key])]
        if not all(np.allclose(a, b, rtol=2e-7, atol=0) for a, b in pairs):
            return f"{key} differs"
    return ""


# ---- weights of other types --------------------------------------------------------------------

# --dtype: (type, range) of the matrices in the blocks, of patch_embed and pre_logits, of the head
STORED = {
    "f32": (("f32", 0), ("f32", 0), ("f32", 0)),
    "f16": (("f16", 0), ("f16", 0), ("f16", 0)),
    "bf16": (("bf16", 0), ("bf16", 0), ("bf16", 0)),
    "int8": (("int8", 63), ("int8", 127), ("int8", 127)),
    "int8x": (("int8", 127), ("f16", 0), ("f16", 0)),
    "int4": (("int4", 8), ("int8", 127), ("int4", 8)),
}


def dtype_cases(session):
    """Each matrix that vit-convert --dtype writes against the same one of float32, rounded here."""
    configs = {
        "plain": small(),
        "layer_scale": small(layer_scale=True),
        "distilled": small(dist_token=True, pool="distilled"),
        "no qkv bias": small(qkv_bias=False),
        "width 36, head_dim 12": small(embed_dim=36),
        "width 80, head_dim 10": small(embed_dim=80, num_heads=8, mlp_dim=70, num_classes=1),
    }
    for seed, (name, c) in enumerate(configs.items()):
        for dtype in STORED:
            title = f"--dtype {dtype}: {name}"
            if session.wants(title):
                model = plain_model(c, 140 + seed)
                session.report(title, dtype_problem(session, model, dtype))


def dtype_problem(session, model, dtype):
    """What is wrong with the file of a type; nothing where all is well."""
    folder = session.fresh()
    model.head.weight[0] = 0  # an output without weights
    model.blocks[0].mlp.fc1.weight[1] = 0
    checkpoint = checkpoints.timm(model.config, model.state_dict(), "vit_test_patch")
    single, other = (os.path.join(folder, name) for name in ("single.vit", "other.vit"))
    try:
        source = checkpoint.save(os.path.join(folder, "source"))
        session.programs.convert(checkpoint.options, source, single)
        session.programs.convert([*checkpoint.options, "--dtype", dtype], source, other)
        _, expected, _ = vit_format.read_stored(single)
        _, tensors, _ = vit_format.read_stored(other)
    except (RuntimeError, ValueError) as error:
        return str(error)
    for key, value in expected.items():
        if isinstance(value, vit_format.Stored):
            place = 0 if key[0] in vit_format.BLOCK else 2 if key[0] == "head" else 1
            problem = matrix_problem(value, tensors[key], STORED[dtype][place])
        else:
            problem = "" if value.tobytes() == tensors[key].tobytes() else "rows differ"
        if problem:
            return f"{key}: {problem}"
    return ""


def matrix_problem(expected, stored, kind):
    """What is wrong with a matrix, given that of float32."""
    if (stored.dtype, stored.range) != kind:
        return f"{stored.dtype}, range {stored.range} instead of {kind}"
    if stored.bias.tobytes() != expected.bias.tobytes():
        return "other biases"
    if stored.dtype == "int8":
        return int8_problem(expected.numbers, stored)
    if stored.dtype == "int4":
        return int4_problem(expected.numbers, stored)
    types = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}
    rounded = torch.from_numpy(expected.numbers.copy()).to(types[stored.dtype])
    return "" if np.array_equal(rounded.double().numpy(), stored.weights()) else "other weights"


def int8_problem(weight, stored):
    """Scales by the largest weight, the nearest integers."""
    scale = np.abs(weight).max(axis=1) / np.float32(stored.range)
    if not np.array_equal(scale, stored.scale):
        return "other scales"
    steps = weight / np.where(scale > 0, scale, 1)[:, None]
    if not np.array_equal(np.rint(steps), stored.numbers):
        return "not the nearest integers"
    error = np.abs(weight - stored.weights())
    return "" if (error <= 0.500001 * scale[:, None]).all() else "further away than half a step"


def int4_problem(weight, stored):
    """The nearest of 16 integers, and an error no larger than that of llama.cpp's Q4_0."""
    rest = -weight.shape[1] % vit_format.GROUP
    groups = np.pad(weight, ((0, 0), (0, rest))).reshape(len(weight), -1, vit_format.GROUP)
    numbers = np.pad(stored.numbers, ((0, 0), (0, rest))).reshape(groups.shape)
    scale = stored.scale.astype(np.float32)[:, :, None]
    steps = np.clip(groups / np.where(scale == 0, 1, scale), -8, 7)
    if not (np.abs(steps - numbers) <= 0.500001).all():
        return "not the nearest integers"
    largest = np.take_along_axis(groups, np.abs(groups).argmax(axis=2)[:, :, None], 2)
    simple = (largest / -8).astype(np.float16).astype(np.float32)
    nearest = np.clip(np.rint(groups / np.where(simple == 0, 1, simple)), -8, 7)
    error, limit = ((groups - s * q) ** 2 for s, q in ((scale, numbers), (simple, nearest)))
    return "" if (error.sum(2) <= limit.sum(2) * 1.000001).all() else "worse than Q4_0"


def dtype_error_cases(session):
    """Weights that a type cannot have: the message names the tensor, and no file is left behind."""
    c = small()
    state = plain_model(c, 150).state_dict()
    fc1, head = "blocks.1.mlp.fc1.weight", "head.weight"
    for dtype, name, value in (
            ("f16", fc1, 65520.0), ("f16", fc1, -1e30), ("int8x", head, 1e6), ("bf16", fc1, 3.4e38),
            ("int8", fc1, float("nan")), ("int8x", fc1, float("inf")), ("int4", fc1, 1e6),
            ("int4", fc1, float("nan")), ("int4", head, float("-inf"))):
        title = f"error: --dtype {dtype}, {value:g} in {name}"
        if session.wants(title):
            checkpoint = checkpoints.timm(c, dict(state), "vit_test_patch")
            checkpoint.tensors[name] = state[name].clone()
            checkpoint.tensors[name][2, 3] = value
            checkpoint.options += ["--dtype", dtype]
            session.report(title, error_problem(session, checkpoint, [name]))


def label_case(session):
    """id2label of Hugging Face's config.json becomes the names of the classes."""
    name = "labels: id2label of config.json"
    if not session.wants(name):
        return
    c, folder = small(), session.fresh()
    labels = [f"Käse {i}, 猫 \"x\" \\ /" for i in range(c.num_classes)]
    checkpoint = checkpoints.hf_vit(c, plain_model(c, 1).state_dict(), labels)
    path = os.path.join(folder, "model.vit")
    try:
        session.programs.convert([], checkpoint.save(os.path.join(folder, "source")), path)
        session.report(name, "" if vit_format.read(path)[2] == labels else "other labels")
    except (RuntimeError, ValueError) as error:
        session.report(name, str(error))


def spoilt():
    """Checkpoints that cannot be converted: name, (change of the tensors, words of the message)."""
    def add(name, shape):
        return lambda t: t.update({name: torch.zeros(shape)})

    def drop(name):
        return lambda t: t.pop(name)

    def swap(name, shape):
        return lambda t: t.update({name: torch.zeros(shape)})

    def retype(name, dtype):
        return lambda t: t.update({name: t[name].to(dtype)})

    last, fc1, norm = "blocks.2.mlp.fc2.weight", "blocks.1.mlp.fc1.weight", "blocks.0.norm1.weight"
    missing = [last, fc1, norm, "blocks.1.attn.qkv.weight", "norm.weight", "head.weight",
               "patch_embed.proj.weight", "cls_token", "pos_embed"]
    result = {f"{name} is missing": (drop(name), [name]) for name in missing}
    result["head.weight is missing"] = (drop("head.weight"), ["there is no head", "num_classes"])
    shapes = {fc1: (48, 96), "blocks.1.mlp.fc1.bias": (95,), norm: (47,), "norm.bias": (1,),
              "blocks.0.attn.qkv.weight": (145, 48), "cls_token": (1, 1, 49),
              "head.weight": (10, 47), "head.bias": (11,),
              "patch_embed.proj.weight": (48, 3, 8)}
    too_many = swap("pos_embed", (1, 18, 48))
    result["pos_embed has a row too many"] = (too_many, ["pos_embed"])
    for name, shape in shapes.items():
        result[f"{name} is {shape}"] = (swap(name, shape), [name])
    extra = {"blocks.0.attn.rel_pos_h": (16,), "unknown.thing": (3,), "unknown.bias": (48,),
             "blocks.0.attn.qkv.scale": (1,)}
    for name, shape in extra.items():
        result[f"{name} is there too"] = (add(name, shape), [name])
    result["blocks.3 has one tensor"] = (add("blocks.3.norm1.weight", (48,)), ["blocks.3."])
    result["integers in head.weight"] = (retype("head.weight", torch.int64), ["head.weight"])
    return result


def error_cases(session):
    """Exit status 1, a message that names the tensor, and no file left behind."""
    c = small()
    state = plain_model(c, 99).state_dict()
    for title, (change, words) in spoilt().items():
        name = f"error: {title}"
        if session.wants(name):
            checkpoint = checkpoints.timm(c, state, "vit_test_patch")
            change(checkpoint.tensors)
            session.report(name, error_problem(session, checkpoint, words))


def error_problem(session, checkpoint, words):
    """What is wrong with the way in which the conversion fails."""
    folder = session.fresh()
    source = checkpoint.save(os.path.join(folder, "source"))
    target = os.path.join(folder, "target")
    os.makedirs(target)
    status, _, message = session.programs.run(
        "vit-convert", *checkpoint.options, source, os.path.join(target, "model.vit"))
    if status != 1:
        return f"status {status}: {message.strip()}"
    if not all(word in message for word in words):
        return f"the message does not name it: {message.strip()}"
    return f"left behind: {os.listdir(target)}" if os.listdir(target) else ""


def resample_case(session):
    """A processor with a filter that the .vit format does not have."""
    name = "error: resample 0"
    if not session.wants(name):
        return
    c = small()
    checkpoint = checkpoints.hf_vit(c, plain_model(c, 6).state_dict(), labels_of(c))
    checkpoint.preprocessor["resample"] = 0
    session.report(name, error_problem(session, checkpoint, ["preprocessor_config", "resample 0"]))


def threads_case(session):
    """The number of threads does not change a bit."""
    name = "the same output with 1, 2 and 5 threads"
    if not session.wants(name):
        return
    c, folder = small(num_heads=4), session.fresh()
    path, pixels = os.path.join(folder, "model.vit"), os.path.join(folder, "pixels.f32")
    vit_format.write(path, *checkpoints.normal_form(plain_model(c, 7)))
    random_pixels(c, 8).numpy().tofile(pixels)
    try:
        one, *others = (session.programs.classify(path, "-t", threads, "--pixels", pixels)
                        for threads in (1, 2, 5))
        session.report(name, "" if all(other == one for other in others) else "logits differ")
    except RuntimeError as error:
        session.report(name, str(error))


def truncation_case(session):
    """A safetensors file cut short at many places."""
    name = "error: cut short"
    if not session.wants(name):
        return
    c, folder = small(depth=1), session.fresh()
    checkpoint = checkpoints.torchvision(c, plain_model(c, 5).state_dict())
    path = checkpoint.save(os.path.join(folder, "source"))
    with open(path, "rb") as file:
        data = file.read()
    problem = ""
    for size in [0, 1, 7, 8, 9, 100, 1000, len(data) // 2, len(data) - 1]:
        with open(path, "wb") as file:
            file.write(data[:size])
        target = os.path.join(folder, "model.vit")
        status, _, message = session.programs.run("vit-convert", *checkpoint.options, path, target)
        if status != 1 or not message or os.path.exists(target):
            problem = f"{size} bytes: status {status}: {message.strip()}"
    session.report(name, problem)


def main():
    """Run all cases."""
    torch.set_grad_enabled(False)
    torch.set_num_threads(2)
    with tempfile.TemporaryDirectory() as folder:
        session = Session(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "",
                          os.path.join(folder, "case"))
        torchvision_cases(session)
        plain_cases(session)
        no_option_case(session)
        hf_cases(session)
        old_name_cases(session)
        container_cases(session)
        position_cases(session)
        written_cases(session)
        file_cases(session)
        dtype_cases(session)
        label_case(session)
        threads_case(session)
        error_cases(session)
        dtype_error_cases(session)
        resample_case(session)
        truncation_case(session)
    print(f"{session.passed} passed, {session.failed} failed")
    return session.failed > 0


if __name__ == "__main__":
    sys.exit(main())
