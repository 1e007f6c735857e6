"""Pictures to train on: folders of classes, or IDX files; augmentation and mixing.

A folder of pictures has a folder for each class, whose sorted names become the labels:

    DATA/train/CLASS/*.png and DATA/val/CLASS/*.png (or DATA/test), or DATA/CLASS/*.png

IDX files are those of MNIST and its likes, gzipped or not: DATA/train-images-idx3-ubyte and
DATA/train-labels-idx1-ubyte, and t10k-, test- or val- for the pictures to test on. Where there is
nothing to test on, a tenth of the pictures is held out, the same tenth for every seed.
"""

import gzip
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

FASHION_MNIST = "/usr/share/datasets/fashion-mnist"  # where Debian's dataset-fashion-mnist puts it
FASHION_MNIST_LABELS = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
                        "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]
TEST_FOLDERS, TEST_PREFIXES = ("val", "test"), ("t10k", "test", "val")
HELD_OUT = 0.1


@dataclass
class Split:
    """images: uint8 (n, channels, height, width); classes: int64 (n); taught: what a teacher says of
    them, float32 (n, 2, numbers), of the picture and its mirror image (teacher.py)."""

    images: torch.Tensor
    classes: torch.Tensor
    taught: torch.Tensor = None

    def pick(self, indices):
        taught = None if self.taught is None else self.taught[indices]
        return Split(self.images[indices], self.classes[indices], taught)


# ---- IDX files ----

def read_idx(path):
    """The unsigned bytes of an IDX file as an array."""
    with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
        data = file.read()
    zero, kind, ndim = struct.unpack(">HBB", data[:4])
    if zero != 0 or kind != 8:
        raise ValueError(f"{path}: not an IDX file of unsigned bytes")
    shape = struct.unpack(f">{ndim}I", data[4:4 + 4 * ndim])
    return np.frombuffer(data, np.uint8, offset=4 + 4 * ndim).reshape(shape)


def find_idx(folder, prefix, kind):
    """The file of a split's images or labels; None where there is none."""
    return next(iter(sorted(Path(folder).glob(f"{prefix}-{kind}*"))), None)


def read_idx_split(folder, prefix):
    """(n, height, width) is grey; in four dimensions the channels are last."""
    images = read_idx(find_idx(folder, prefix, "images"))
    images = images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2)
    classes = read_idx(find_idx(folder, prefix, "labels")).astype(np.int64)
    if len(images) != len(classes):
        raise ValueError(f"{folder}: {len(images)} pictures and {len(classes)} labels ({prefix})")
    return Split(torch.from_numpy(images.copy()), torch.from_numpy(classes))


# ---- folders of pictures ----

def class_names(folder):
    """Of the folders in it, sorted."""
    names = sorted(path.name for path in folder.iterdir() if path.is_dir())
    if not names:
        raise ValueError(f"{folder}: neither folders of classes nor IDX files")
    return names


def read_picture(path, size, mode):
    """(channels, size, size): the shorter side resized to size, the middle cut out, by torchvision's
    sums, which vit.h's are."""
    from PIL import Image, ImageOps  # only here: IDX files do without

    with Image.open(path) as image:
        image = ImageOps.exif_transpose(image).convert(mode)
    width, height = (size * side // min(image.size) for side in image.size)
    image = image.resize((width, height), Image.Resampling.BILINEAR)
    left, top = round((width - size) / 2), round((height - size) / 2)
    pixels = np.asarray(image.crop((left, top, left + size, top + size)))
    return pixels[None] if mode == "L" else pixels.transpose(2, 0, 1)


def class_paths(folder, labels):
    """Those of all pictures under folder/LABEL, sorted, and their classes; what is there has to be a
    picture."""
    if class_names(folder) != labels:
        raise ValueError(f"{folder}: not the classes {', '.join(labels)}")
    paths, classes = [], []
    for index, label in enumerate(labels):
        found = sorted(path for path in (folder / label).iterdir() if path.name[0] != ".")
        if not found:
            raise ValueError(f"{folder / label}: no pictures")
        paths += found
        classes += [index] * len(found)
    return paths, torch.tensor(classes)


def read_class_folders(folder, labels, size, mode):
    """All pictures under folder/LABEL."""
    paths, classes = class_paths(folder, labels)
    return Split(torch.from_numpy(np.stack([read_picture(path, size, mode) for path in paths])),
                 classes)


def training_folder(folder):
    """folder/train where there is one."""
    return folder / "train" if (folder / "train").is_dir() else folder


def training_paths(folder):
    """(paths, classes, labels) of the pictures to train on, in the order in which they are read."""
    root = training_folder(folder)
    labels = class_names(root)
    return *class_paths(root, labels), labels


# ---- any of both ----

def held_out_order(count):
    """The order of all pictures, and how many of the first ones are held out: a fixed tenth, drawn at
    random."""
    order = torch.randperm(count, generator=torch.Generator().manual_seed(0))
    return order, max(1, int(HELD_OUT * count))


def held_out_indices(count):
    """Of the pictures held out."""
    order, held = held_out_order(count)
    return order[:held]


def hold_out(split):
    """(train, test)"""
    order, held = held_out_order(len(split.classes))
    return split.pick(order[held:]), split.pick(order[:held])


def load_idx(folder):
    """(train, test or None, labels): the labels are numbers, or Fashion-MNIST's."""
    train = read_idx_split(folder, "train")
    prefix = next((prefix for prefix in TEST_PREFIXES if find_idx(folder, prefix, "images")), None)
    test = read_idx_split(folder, prefix) if prefix else None
    count = int(max(split.classes.max() for split in (train, test) if split)) + 1
    known = Path(folder) == Path(FASHION_MNIST)
    return train, test, FASHION_MNIST_LABELS if known else [str(i) for i in range(count)]


def load_folders(folder, size, mode):
    """(train, test or None, labels)."""
    root = training_folder(folder)
    labels = class_names(root)
    train = read_class_folders(root, labels, size, mode)
    tests = [folder / name for name in TEST_FOLDERS if root != folder and (folder / name).is_dir()]
    return train, read_class_folders(tests[0], labels, size, mode) if tests else None, labels


def load(folder, size, grey):
    """(train, test, labels); test is None where there is nothing to test on. size: of the model's
    pictures, which IDX files have to have."""
    folder = Path(folder)
    if not find_idx(folder, "train", "images"):
        return load_folders(folder, size, "L" if grey else "RGB")
    train, test, labels = load_idx(folder)
    if train.images.shape[2:] != (size, size):
        raise ValueError(f"{folder}: not pictures of {size} x {size}: {tuple(train.images.shape)}")
    return train, test, labels


def channel_statistics(images):
    """Mean and deviation of each channel, of pixels from 0 to 1, as lists."""
    counts = torch.stack([torch.bincount(images[:, c].flatten().long(), minlength=256)
                          for c in range(images.shape[1])]).double()
    shares, values = counts / counts.sum(1, keepdim=True), torch.arange(256) / 255.0
    mean = shares @ values.double()
    std = (shares @ (values.double() ** 2) - mean**2).sqrt()
    return [round(m, 3) for m in mean.tolist()], [max(0.001, round(s, 3)) for s in std.tolist()]


def normalise(images, mean, std):
    """uint8 (n, channels, height, width) to float32."""
    mean, std = (torch.tensor(values).view(1, -1, 1, 1) for values in (mean, std))
    return images.float().div_(255).sub_(mean).div_(std)


# ---- augmentation ----

def shift_and_flip(images, max_shift, flips):
    """Each picture moved by up to max_shift pixels, black coming in, and mirrored where flips (n) says
    so."""
    n, channels, height, width = images.shape
    padded = F.pad(images, [max_shift] * 4)
    rows = torch.arange(height) + torch.randint(2 * max_shift + 1, (n, 1))
    columns = torch.arange(width)
    columns = torch.where(flips[:, None], width - 1 - columns, columns)
    columns = columns + torch.randint(2 * max_shift + 1, (n, 1))
    picture, channel = torch.arange(n)[:, None, None, None], torch.arange(channels)[:, None, None]
    return padded[picture, channel, rows[:, None, :, None], columns[:, None, None, :]]


def random_boxes(n, height, width, areas):
    """Masks (n, 1, height, width) of a box within each picture; areas: (n) shares of the picture."""
    masks = []
    for side in (height, width):
        length = side * areas.sqrt()
        start = torch.rand(n) * (side - length)
        places = torch.arange(side) + 0.5
        masks.append((places >= start[:, None]) & (places < (start + length)[:, None]))
    return masks[0][:, None, :, None] & masks[1][:, None, None, :]


def erase(x, probability, largest=0.25):
    """Fill a box of up to a quarter with the mean, in some of the normalised pictures."""
    n, _, height, width = x.shape
    areas = torch.rand(n) * largest * (torch.rand(n) < probability)
    return x.masked_fill(random_boxes(n, height, width, areas), 0)


def mix(x, targets, mixup, cutmix):
    """Mix a batch with itself in another order, by pixel values or by a box; mixup and cutmix are
    the parameters of the beta distribution, 0 for never. targets: (n, numbers)."""
    alphas = [(alpha, cut) for alpha, cut in ((mixup, False), (cutmix, True)) if alpha > 0]
    if not alphas:
        return x, targets
    alpha, cut = alphas[torch.randint(len(alphas), ()).item()]
    share = torch.distributions.Beta(alpha, alpha).sample()
    order = torch.randperm(len(x))
    if not cut:
        return torch.lerp(x[order], x, share), torch.lerp(targets[order], targets, share)
    box = random_boxes(1, *x.shape[2:], (1 - share)[None])
    share = 1 - box.float().mean()
    return torch.where(box, x[order], x), torch.lerp(targets[order], targets, share)
