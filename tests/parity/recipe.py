"""Preprocessing as Pillow, torchvision and Hugging Face do it: the reference for vit_preprocess."""
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torchvision import transforms
from torchvision.transforms import functional

NONE, SHORTEST, EXACT = 0, 1, 2
FILTERS = [Image.BILINEAR, Image.BICUBIC]
ROUND_TORCHVISION, ROUND_FLOOR = 0, 1


@dataclass
class Recipe:
    """A recipe in the terms of vit_preprocess_config. Sizes are (height, width)."""

    img_size: tuple = (224, 224)
    in_chans: int = 3
    resize: int = SHORTEST
    resize_size: tuple = (248, 248)
    interpolation: int = 1
    crop: int = ROUND_TORCHVISION
    rescale: float = 255.0
    mean: tuple = (0.485, 0.456, 0.406)
    std: tuple = (0.229, 0.224, 0.225)

    def header(self):
        """The recipe as fields of a .vit file's header."""
        names = ("img_size", "in_chans", "resize", "resize_size", "interpolation", "crop",
                 "rescale")
        mean = (*self.mean, *[0.0] * (4 - len(self.mean)))
        std = (*self.std, *[1.0] * (4 - len(self.std)))
        return {**{name: getattr(self, name) for name in names}, "mean": mean, "std": std}


def resized_size(recipe, width, height):
    """(width, height) after the resize; shortest is timm's ResizeKeepRatio."""
    to_height, to_width = recipe.resize_size
    if recipe.resize == NONE:
        return width, height
    if recipe.resize == EXACT:
        return to_width, to_height
    ratio = min(height / to_height, width / to_width)
    return round(width / ratio), round(height / ratio)


def resize(recipe, image):
    """A Pillow image resized; torchvision's own Resize where it can express the recipe."""
    to_height, to_width = recipe.resize_size
    if recipe.resize == SHORTEST and to_height == to_width:
        mode = [functional.InterpolationMode.BILINEAR, functional.InterpolationMode.BICUBIC]
        return transforms.Resize(to_height, interpolation=mode[recipe.interpolation])(image)
    size = resized_size(recipe, *image.size)
    return image if size == image.size else image.resize(size, FILTERS[recipe.interpolation])


def floor_crop(array, height, width):
    """Hugging Face's center_crop of an (H, W, C) array: the offset is rounded down."""
    top, left = ((n - m) // 2 for n, m in zip(array.shape, (height, width)))
    result = np.zeros((height, width, array.shape[2]), array.dtype)
    from_y, from_x = max(top, 0), max(left, 0)
    part = array[from_y : max(top, 0) + height, from_x : max(left, 0) + width]
    to_y, to_x = max(-top, 0), max(-left, 0)
    part = part[: height - to_y, : width - to_x]
    result[to_y : to_y + part.shape[0], to_x : to_x + part.shape[1]] = part
    return result


def crop(recipe, image):
    """The centre of a Pillow image, (H, W, C) uint8."""
    if recipe.crop == ROUND_TORCHVISION:
        image = transforms.CenterCrop(recipe.img_size)(image)
    array = np.asarray(image)
    array = array if array.ndim == 3 else array[:, :, None]
    return array.copy() if recipe.crop == ROUND_TORCHVISION else floor_crop(array, *recipe.img_size)


def normalise(recipe, array):
    """(H, W, C) uint8 to (C, H, W) float32."""
    if recipe.rescale == 255:
        values = transforms.ToTensor()(array)
    else:
        values = torch.from_numpy(array.transpose(2, 0, 1)).float() / recipe.rescale
    return transforms.Normalize(recipe.mean, recipe.std)(values).numpy()


def picture(recipe, array):
    """(H, W) or (H, W, 3) uint8 to a Pillow image with the channels of the model."""
    return Image.fromarray(array).convert("RGB" if recipe.in_chans == 3 else "L")


def preprocess(recipe, array):
    """(H, W) or (H, W, 3) uint8 to the model's input."""
    return normalise(recipe, crop(recipe, resize(recipe, picture(recipe, array))))
