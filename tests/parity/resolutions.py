"""Compares other sizes than a model's own with PyTorch: resampled positions, and logits.

    resolutions.py BUILD

Positions: every method of vit_pos_resample beside torch.nn.functional.interpolate, called as the
source of that method calls it. Logits: DeiT-Tiny of VIT_TEST_DATA, or without it a random model, at
384 x 384 and 224 x 336, with positions by timm's rule. Prints 'N passed, N failed'.
"""
import os
import sys
import tempfile

import numpy as np
import torch
from torch.nn.functional import interpolate

import checkpoints
import photos
import vit_format
from attention import Model, Report, compile_library
from plain_vit import Config, PlainViT
from programs import Programs

BICUBIC = dict(mode="bicubic", align_corners=False)
METHODS = {  # in the order of vit_pos_resample
    "timm": lambda x, size: interpolate(x, size, antialias=True, **BICUBIC),
    "Hugging Face": lambda x, size: interpolate(x, size, **BICUBIC),
    "torchvision": lambda x, size: interpolate(x, size, mode="bicubic", align_corners=True),
    "DINOv2": lambda x, size: interpolate(
        x, scale_factor=[(n + 0.1) / old for n, old in zip(size, x.shape[2:])], **BICUBIC),
    "npz": lambda x, size: interpolate(x, size, mode="bilinear", align_corners=False),
}
GRIDS = [((14, 14), (24, 24)), ((37, 37), (16, 16)), ((14, 14), (14, 21)), ((3, 5), (7, 2)),
         ((1, 4), (3, 9)), ((12, 9), (1, 1)), ((37, 37), (32, 45)), ((6, 6), (6, 6))]
WIDTH = 16


def bare_model(path, old, method, positions):
    """A model whose tokens come out as their positions are: all its matrices are zeros."""
    header = dict(img_size=(old[0] * 2, old[1] * 2), patch_size=(2, 2), in_chans=1, num_classes=0,
                  embed_dim=WIDTH, depth=1, num_heads=1, head_dim=16, mlp_dim=16, prefix_tokens=1,
                  head_tokens=1, head_avg=0, final_norm=2, pre_logits=0, act=0, norm_eps=1e-6,
                  output=3, pos_resample=method)
    tensors = {}
    for role, block in vit_format.keys(header):
        shape = vit_format.row_shape(header, role)
        if shape:
            tensors[role, block] = np.zeros(shape, np.float32)
        else:
            (parts, rows), (repeats, cols) = vit_format.matrix_shape(header, role)
            tensors[role, block] = (np.zeros((parts * rows, repeats * cols)), np.zeros(parts * rows))
    tensors["pos_embed", 0] = positions
    vit_format.write(path, header, tensors)


def compare_positions(report, library, folder):
    """Each method, up and down, square and not."""
    torch.manual_seed(1)
    path = os.path.join(folder, "positions.vit")
    for method, (name, resample) in enumerate(METHODS.items()):
        for old, new in GRIDS:
            if name == "torchvision" and min(old) == 1:
                continue  # one row has no corners to align
            grid = torch.randn(1, WIDTH, *old)
            rows = grid.flatten(2).transpose(1, 2)[0]
            first = torch.randn(1, WIDTH)
            bare_model(path, old, method, torch.cat([first, rows]).numpy())
            size = (new[0] * 2, new[1] * 2)
            got = Model(library, path).features(
                np.zeros((1, *size)), 2, (1 + new[0] * new[1], WIDTH), size)
            want = rows if old == new else resample(grid, new).flatten(2).transpose(1, 2)[0]
            error = np.abs(got[1:] - want.numpy()).max() / np.abs(want.numpy()).max()
            report.check(f"positions of {name}, {old} to {new}", error)
            report.check(f"class token of {name}", np.abs(got[0] - first.numpy()).max(), 0)


def resampled(model, size):
    """The model at another size, with positions by timm's rule (resample_abs_pos_embed)."""
    config = Config(**{**vars(model.config), "img_size": size})
    other = PlainViT(config).eval()
    state = dict(model.state_dict())
    rows, (height, width) = state["pos_embed"], model.config.grid
    grid = rows[:, 1:].reshape(1, height, width, -1).permute(0, 3, 1, 2)
    grid = METHODS["timm"](grid, config.grid).permute(0, 2, 3, 1).flatten(1, 2)
    state["pos_embed"] = torch.cat([rows[:, :1], grid], 1)
    other.load_state_dict(state)
    return other


def compare_logits(report, library, programs, folder, data):
    """One file at several sizes, and files converted for them."""
    if data:
        model, source = photos.load_model(os.path.join(data, "deit_tiny")), os.path.join(data, "deit_tiny")
    else:
        print("SKIPPED: DeiT-Tiny: VIT_TEST_DATA is not set; a random model instead")
        torch.manual_seed(2)
        model = PlainViT(Config(depth=2)).eval()
        source = checkpoints.Checkpoint(model.state_dict()).save(os.path.join(folder, "random"))
    own = os.path.join(folder, "own.vit")
    programs.convert([], source, own)
    for height, width in ((384, 384), (224, 336), (160, 192)):
        pixels = torch.randn(3, height, width)
        with torch.no_grad():
            want = resampled(model, (height, width))(pixels[None])[0].numpy()
        scale = np.abs(want).max()
        got = Model(library, own).logits(pixels, want.shape, (height, width))
        report.check(f"logits at {height} x {width}", np.abs(got - want).max() / scale)
        target = os.path.join(folder, "sized.vit")
        programs.convert(["--size", f"{height}x{width}"], source, target)
        got = Model(library, target).logits(pixels, want.shape, (0, 0))
        report.check(f"logits of --size {height}x{width}", np.abs(got - want).max() / scale)


def main():
    """Compare everything."""
    programs, data, report = Programs(sys.argv[1]), os.environ.get("VIT_TEST_DATA"), Report()
    with tempfile.TemporaryDirectory() as folder:
        library = compile_library(folder)
        compare_positions(report, library, folder)
        compare_logits(report, library, programs, folder, data)
    print(f"{report.passed} passed, {report.failed} failed")
    sys.exit(report.failed > 0)


if __name__ == "__main__":
    main()
