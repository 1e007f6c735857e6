"""Compares vit-teach with PyTorch: the features, and the head that is fitted to them.

    teach.py BUILD

BUILD is the folder with the programs. The backbone has random weights and torch.nn's own layers
(plain_vit.py). The pictures have the size of its input, so that no resize stands between. The head
minimises the objective of tools/teach/fit.h, of which torch.optim.LBFGS finds the minimum in
float64 from the same features: the two give the same probabilities.
"""
import re
import struct
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import checkpoints
import vit_format
from plain_vit import Config, PlainViT, randomise
from programs import Programs

SIDE, PICTURES, LABELS = 32, 14, ["blau", "grün", "rot"]
MODELS = {
    "class token and norm": dict(),
    "without a class token": dict(class_token=False, pool="avg"),
    "fc_norm, distillation token": dict(dist_token=True, pool="avg", fc_norm=True),
    "pre_logits": dict(pre_logits=10),
}
TOLERANCES = {"features": 1e-5, "probabilities": 1e-3}


def make_pictures(folder):
    """folder/LABEL/NUMBER.png in random colours, one channel somewhat stronger; returns them."""
    generator = np.random.default_rng(5)
    pictures = {}
    for channel, label in enumerate(reversed(LABELS)):
        (folder / label).mkdir(parents=True)
        for number in range(PICTURES):
            pixels = generator.integers(0, 190, (SIDE, SIDE, 3))
            pixels[..., channel] += generator.integers(0, 65)
            path = folder / label / f"{number:02}.png"
            pictures[str(path)] = pixels.astype(np.uint8)
            Image.fromarray(pictures[str(path)]).save(path)
    return dict(sorted(pictures.items()))


def normalise(pixels):
    """uint8 (H, W, 3) to float32 (1, 3, H, W), by vit_format's RECIPE."""
    mean, std = (torch.tensor(vit_format.RECIPE[key][:3]) for key in ("mean", "std"))
    x = (torch.from_numpy(pixels.copy()).float() / 255 - mean) / std
    return x.permute(2, 0, 1)[None]


def features_of(model, pixels):
    """What a head can read: token 0 if there is one, and the mean of the patches."""
    *_, x = model.stages(normalise(pixels))
    x, c = model.norm(x), model.config
    parts = ([x[:, 0]] if c.prefix_tokens else []) + [x[:, c.prefix_tokens:].mean(dim=1)]
    return torch.cat([model.fc_norm(part) for part in parts], dim=1)[0].numpy()


def read_cache(path):
    """{path: {view: features}} of vit-teach's file of features (tools/teach/cache.c)."""
    data = path.read_bytes()
    magic, version, dim, _ = struct.unpack_from("<8s2IQ", data)
    assert (magic, version) == (b"vit-feat", 2)
    records, place = {}, 24
    while place < len(data):
        *_, views, length = struct.unpack_from("<QQqQ2I", data, place)
        name = data[place + 40 : place + 40 + length].decode()
        place += 40 + (length // 8 + 1) * 8
        records[name] = {}
        for view in range(4):
            if views >> view & 1:
                records[name][view] = np.frombuffer(data, "<f4", dim, place)
                place += (4 * dim + 7) // 8 * 8
    assert place == len(data)
    return records


def solve(x, classes, l2):
    """Weights and biases of the objective's minimum, of features as they are."""
    scale = x.std(dim=0, unbiased=False)
    z = (x - x.mean(dim=0)) / scale
    w = torch.zeros(len(LABELS), x.shape[1], dtype=torch.float64, requires_grad=True)
    b = torch.zeros(len(LABELS), dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([w, b], max_iter=2000, tolerance_grad=1e-10,
                                  tolerance_change=0, line_search_fn="strong_wolfe")

    def loss():
        optimiser.zero_grad()
        value = torch.nn.functional.cross_entropy(z @ w.T + b, classes) + l2 / 2 * (w * w).sum()
        value.backward()
        return value

    optimiser.step(loss)
    w, b = w.detach(), b.detach()
    return w / scale, b - (w / scale) @ x.mean(dim=0)


def check(programs, folder, name, settings):
    """Prints a line; returns whether all is within the tolerances."""
    model = randomise(PlainViT(Config(img_size=(SIDE, SIDE), patch_size=(8, 8), num_classes=5,
                                      embed_dim=24, depth=2, num_heads=2, mlp_dim=40,
                                      **settings)), 3)
    backbone, output, photos = folder / "backbone.vit", folder / "mine.vit", folder / "photos"
    pictures = make_pictures(photos)
    header, tensors = checkpoints.normal_form(model)
    vit_format.write(backbone, header, tensors)
    status, told, message = programs.run("vit-teach", "--recipe", "whole", "-m", backbone, photos,
                                         "-o", output)
    assert status == 0, message
    records = read_cache(folder / "mine.vit.features")
    with torch.no_grad():
        want = {path: {2: features_of(model, pixels), 3: features_of(model, pixels[:, ::-1])}
                for path, pixels in pictures.items()}
    largest = max(np.abs(views[2]).max() for views in want.values())
    features = max(np.abs(records[path][view] - want[path][view]).max()
                   for path in want for view in (2, 3)) / largest
    header, tensors, labels = vit_format.read(output)
    assert labels == LABELS
    dim, both = model.config.embed_dim, header["head_tokens"] + header["head_avg"] == 2
    start = dim if model.config.prefix_tokens and not header["head_tokens"] else 0
    x = torch.tensor(np.array([records[path][view][start : start + dim * (1 + both)]
                               for path in want for view in (2, 3)]), dtype=torch.float64)
    classes = torch.tensor([LABELS.index(Path(path).parent.name) for path in want for _ in "12"])
    l2 = float(re.search(r"L2 (\S+)", told)[1])
    temperature = float(re.search(r"temperature ([\d.]+)", told)[1])
    weights, biases = solve(x, classes, l2)
    expected = torch.softmax((x @ weights.T + biases) / temperature, dim=1)[::2].numpy()
    got = [[entry["score"] for entry in sorted(line["top"], key=lambda entry: entry["index"])]
           for line in programs.classify(output, *want)]
    errors = {"features": features, "probabilities": np.abs(np.array(got) - expected).max()}
    good = all(errors[key] <= limit for key, limit in TOLERANCES.items())
    print(f"{'ok    ' if good else 'FAILED'} {name}: "
          + ", ".join(f"{key} {value:.1e}" for key, value in errors.items()))
    return good


def main():
    """Exit status 1 where a difference is too large."""
    programs = Programs(sys.argv[1])
    good = True
    for name, settings in MODELS.items():
        with tempfile.TemporaryDirectory() as folder:
            good &= check(programs, Path(folder), name, settings)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
