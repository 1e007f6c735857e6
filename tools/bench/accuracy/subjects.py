"""The subjects of the measurements: a checkpoint, pictures as tensors, their classes.

fashion-mnist.vit exists as a .vit file only. Its weights are read back from it and written under
timm's names. That loses nothing: converted again, the file is the same to the byte.
"""
import json
import os
import shutil
import sys
from dataclasses import dataclass

import numpy as np
import torch

HERE = os.path.dirname(os.path.abspath(__file__))
for folder in ("tests/parity", "tools/train", "tools/bench/peers"):
    sys.path.append(os.path.join(HERE, "../../..", folder))

import checkpoint as checkpoints  # noqa: E402
import photos  # noqa: E402
import pictures  # noqa: E402
import recipe as recipes  # noqa: E402
import safetensors_io  # noqa: E402
import vit_format  # noqa: E402
from plain_vit import Config, PlainViT, config_from  # noqa: E402

SHIPPED = os.path.join(HERE, "../../../examples/models/fashion-mnist.vit")
NAMES = {"patch_embed": "patch_embed.proj", "head": "head", "proj": "attn.proj",
         "fc1": "mlp.fc1", "fc2": "mlp.fc2", "norm": "norm", "norm1": "norm1", "norm2": "norm2"}


@dataclass
class Subject:
    """A model and what it is measured on. folder: a place for files; timed: how many pictures are
    classified for one timing, so that it takes some milliseconds; photos: folders to calibrate by, of
    n the i-th without the pictures i, i + n, i + 2n ..."""

    key: str
    title: str
    folder: str
    checkpoint: str
    config: Config
    pixels: np.ndarray  # float32 (pictures, channels, side, side)
    classes: np.ndarray
    timed: int
    photos: list

    @property
    def shape(self):
        """Channels, side and number of classes, as contestants want them."""
        return [*map(str, self.pixels.shape[1:3]), str(self.config.num_classes)]

    def path(self, name):
        """A file in the folder."""
        return os.path.join(self.folder, name)

    def module(self):
        """The model in PyTorch."""
        model = PlainViT(self.config).eval()
        path = os.path.join(self.checkpoint, "model.safetensors")
        model.load_state_dict(safetensors_io.read(path))
        return model


def timm_state(header, tensors):
    """The tensors of a .vit file of a model with a class token under timm's names."""
    def put(name, *values):
        for part, value in zip(("weight", "bias"), values):
            state[f"{name}.{part}"] = value

    state = {"cls_token": tensors["prefix_tokens", 0][None],
             "pos_embed": tensors["pos_embed", 0][None]}
    for (role, block), value in tensors.items():
        place = f"blocks.{block}." if role in vit_format.BLOCK else ""
        if role in NAMES:
            put(place + NAMES[role], *value)
    for i in range(header["depth"]):
        parts = zip(*(tensors[role, i] for role in "qkv"))
        put(f"blocks.{i}.attn.qkv", *map(np.concatenate, parts))
    weight = state["patch_embed.proj.weight"]
    shape = (len(weight), header["in_chans"], *header["patch_size"])
    state["patch_embed.proj.weight"] = weight.reshape(shape)
    return {name: torch.from_numpy(np.array(value)) for name, value in state.items()}


def timm_config(header, labels):
    """config.json of a .vit file of a model with a class token and square pictures."""
    args = {key: header[key] for key in ("in_chans", "embed_dim", "depth", "num_heads")}
    args.update(img_size=header["img_size"][0], mlp_ratio=header["mlp_dim"] / header["embed_dim"],
                global_pool="token")
    mean, std = (list(header[key][:header["in_chans"]]) for key in ("mean", "std"))
    return checkpoints.timm_config(header["architecture"], args, mean, std, labels)


def fashion_mnist(folder):
    """fashion-mnist.vit, with all pictures of Fashion-MNIST's test set."""
    header, tensors, labels = vit_format.read(SHIPPED)
    checkpoint = os.path.join(folder, "checkpoint")
    os.makedirs(checkpoint, exist_ok=True)
    path = os.path.join(checkpoint, "model.safetensors")
    safetensors_io.write(path, timm_state(header, tensors), {"format": "pt"})
    config = timm_config(header, labels)
    checkpoints.save_text(os.path.join(checkpoint, "config.json"), json.dumps(config))
    test = pictures.read_idx_split(pictures.FASHION_MNIST, "t10k")
    recipe = config["pretrained_cfg"]
    pixels = pictures.normalise(test.images, recipe["mean"], recipe["std"]).numpy()
    title = f"fashion-mnist.vit, {len(pixels):,} pictures of Fashion-MNIST"
    return Subject("fashion-mnist", title, folder, checkpoint, config_from(header), pixels,
                   test.classes.numpy(), 200, [])


def halves(folder, paths):
    """Two folders with links: to the second, fourth ... of the photos, and to the others."""
    places = [os.path.join(folder, name) for name in ("photos-odd", "photos-even")]
    for i, place in enumerate(places):
        shutil.rmtree(place, ignore_errors=True)
        os.makedirs(place)
        for path in paths[1 - i::2]:
            os.symlink(os.path.abspath(path), os.path.join(place, os.path.basename(path)))
    return places


def deit_tiny(folder, data):
    """DeiT-Tiny and the photos of VIT_TEST_DATA, as Pillow decodes them."""
    index = photos.read_index(os.path.join(data, "photos"))
    recipe = recipes.Recipe()
    pixels = [recipes.preprocess(recipe, photos.decode(path)) for path, _ in index]
    classes = np.array([label for _, label in index])
    return Subject("deit-tiny", f"DeiT-Tiny, {len(index)} ImageNet photos", folder,
                   os.path.join(data, "deit_tiny"), Config(), np.stack(pixels), classes, 1,
                   halves(folder, [path for path, _ in index]))
