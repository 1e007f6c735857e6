"""The peer of `vit-classify -j 2`: PyTorch's DataLoader, whose workers decode by Pillow and preprocess by
torchvision, before ONNX Runtime with DeiT-Tiny in int8.

    loader.py [--threads N] [--batch N] [--workers N] ENGINE CHECKPOINT FOLDER PHOTOS

ENGINE is ort.so, the contestant ONNX Runtime as a library; FOLDER keeps the ONNX files, which are made
of CHECKPOINT where they are not there; PHOTOS is a folder, whose number of files is a multiple of the
batch. Prints seconds, the processor's seconds, then for each photo, in the order of the names, the best
class. The seconds are those from the start of the workers to the last class: not Python's imports, nor
the opening of the model.
"""
import argparse
import ctypes
import os
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
for place in (HERE, HERE.parents[2] / "tests/parity"):
    sys.path.append(str(place))

import numpy as np  # noqa: E402
import torch  # noqa: E402
from PIL import Image  # noqa: E402
from torch.utils.data import DataLoader, Dataset  # noqa: E402
from torchvision import transforms  # noqa: E402

import export  # noqa: E402
import photos  # noqa: E402
import recipe as recipes  # noqa: E402

SIDE, CLASSES, DEPTH = 224, 1000, 12


class Photos(Dataset):
    """The photos of a folder as the model's pixels, as torchvision's pages write it."""

    def __init__(self, folder):
        recipe = recipes.Recipe()
        self.paths = sorted(folder.iterdir())
        self.transform = transforms.Compose([
            transforms.Resize(recipe.resize_size[0], transforms.InterpolationMode.BICUBIC),
            transforms.CenterCrop(recipe.img_size),
            transforms.ToTensor(),
            transforms.Normalize(recipe.mean, recipe.std)])

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, index):
        with Image.open(self.paths[index]) as image:
            return self.transform(image.convert("RGB"))


class Contest(ctypes.Structure):
    """contestant.h's struct contest."""

    _fields_ = [("model", ctypes.c_char_p)] + [
        (name, ctypes.c_int) for name in ("channels", "side", "classes", "threads", "batch")] + [
        (name, ctypes.POINTER(ctypes.c_float)) for name in ("pixels", "logits")]


class Runtime:
    """ONNX Runtime with a model; pixels and logits are NumPy's view of its input and output."""

    def __init__(self, engine, model, threads, batch):
        def pointer(array):
            return array.ctypes.data_as(ctypes.POINTER(ctypes.c_float))

        self.pixels = np.zeros((batch, 3, SIDE, SIDE), np.float32)
        self.logits = np.zeros((batch, CLASSES), np.float32)
        self.engine = ctypes.CDLL(str(engine.resolve()))
        self.contest = Contest(str(model).encode(), 3, SIDE, CLASSES, threads, batch,
                               pointer(self.pixels), pointer(self.logits))
        self.engine.contestant_open(ctypes.byref(self.contest))

    def run(self, pixels):
        """The best class of each picture."""
        self.pixels[:] = pixels
        self.engine.contestant_run(ctypes.byref(self.contest))
        return self.logits.argmax(axis=1).tolist()


def onnx_file(checkpoint, folder, batch):
    """The path of the int8 model for a batch, which is made if it is not there."""
    path, whole = folder / f"deit-int8-{batch}.onnx", folder / f"deit-{batch}.onnx"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        pixels = torch.randn(batch, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
        with torch.no_grad():
            export.export_onnx(photos.load_model(str(checkpoint)), pixels, str(whole))
        export.export_onnx_int8(str(whole), DEPTH, str(path))
    return path


def processor_seconds():
    """Those of this process and of its children that have ended."""
    return sum(os.times()[:4])


def classify(runtime, loader):
    """(seconds, processor's seconds, the best class of each photo)."""
    classes, begin, begin_cpu = [], time.perf_counter(), processor_seconds()
    for pixels in loader:  # whose workers have ended after it
        classes += runtime.run(pixels.numpy())
    return time.perf_counter() - begin, processor_seconds() - begin_cpu, classes


def main():
    """Parse the arguments, classify and print."""
    parser = argparse.ArgumentParser()
    for name, default in (("threads", 1), ("batch", 1), ("workers", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    for name in ("engine", "checkpoint", "folder", "photos"):
        parser.add_argument(name, type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # PyTorch computes nothing here
    data = Photos(arguments.photos)
    if len(data) % arguments.batch != 0:
        parser.error("the photos are not a multiple of the batch")
    model = onnx_file(arguments.checkpoint, arguments.folder, arguments.batch)
    runtime = Runtime(arguments.engine, model, arguments.threads, arguments.batch)
    loader = DataLoader(data, arguments.batch, num_workers=arguments.workers)
    seconds, cpu, classes = classify(runtime, loader)
    print(f"{seconds:.3f}", f"{cpu:.3f}", *classes, sep="\n")


if __name__ == "__main__":
    main()
