"""Makes the golden files beside this script. Run it with a Python that has torch and torchvision.

All numbers are computed in float64 and stored in float32, so that a second run gives the same
bytes. Raw files, little-endian, C order: .f32 float, .u8 unsigned char, .i32 int. In brackets:
shapes.

tiny.vit        a torchvision model: 32x32, patch 8, 48 wide, 3 heads, 3 blocks, MLP 96, 7 classes
tiny_timm/      the same in timm's form, of which vit-convert has to make the same tensors
tiny_avg.vit    a plain_vit model: 1 channel, 24x40, patch 6x10, 40 wide, 5 heads, 2 blocks, MLP 24,
                5 classes, mean pooling, fc_norm, no bias of q, k and v, GELU's tanh form
  NAME_pixels.f32    [in_chans][height][width]
  NAME_embed.f32     [tokens][embed_dim] after the positions are added
  NAME_block0.f32    [tokens][embed_dim] the residual stream after block 0, and so on
  NAME_norm.f32      what the head reads: tiny [tokens][embed_dim], tiny_avg [embed_dim]
  NAME_logits.f32    [num_classes]
  NAME_merge.f32     [3][num_classes] with 1, 3 and 100 tokens merged in each block, for as many as may

gelu.f32        [3][401]: x, exact GELU, tanh form
layer_norm.f32  in [5][40], weight [40], bias [40], out [5][40]; eps 1e-6. Row 3 is constant, row 4
                has a mean of 1000
softmax.f32     in [5][37], out [5][37]; row 2 reaches from -200 to 200, row 3 is constant, row 4 is
                near 10000
attention.f32   q, k, v, out, each [2 heads][13 tokens][24]; the scale is 24 ** -0.5
top_k.f32       [64] scores with equal ones and NaN;  top_k.i32 [64] the order of vit_top_k

preprocess.txt  a case in each line, fields separated by spaces:
                  name, width, height, channels of the picture (1 or 3),
                  in_chans, img_size (2), resize, resize_size (2), interpolation, crop,
                  rescale, mean (4), std (4); sizes are height, width, the rest as in a .vit file
  NAME_in.u8    [height][width][channels]
  NAME_out.f32  [in_chans][img_size]

The weights are rounded to bfloat16, so that the repository compresses them to half.
"""
import json
import os
import sys

import numpy as np
import torch
from torch import nn
from torchvision.models import VisionTransformer

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "parity"))

import checkpoints  # noqa: E402
import recipe as recipes  # noqa: E402
import safetensors_io  # noqa: E402
import vit_format  # noqa: E402
from merge import merged_logits  # noqa: E402
from plain_vit import Config, PlainViT, randomise  # noqa: E402

LABELS = ["tench", "goldfish", "great white shark", "hen", "Käfer", "猫", "zebra"]


def save(name, *arrays, dtype="<f4"):
    """Write arrays one behind the other."""
    with open(os.path.join(HERE, name), "wb") as file:
        for array in arrays:
            file.write(np.asarray(array).astype(dtype).tobytes())


def rounded(module):
    """The module in float64 with weights that bfloat16 can hold."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(parameter.to(torch.bfloat16))
    return module.double()


def save_model(name, model, recipe, labels):
    """Write a PlainViT as .vit."""
    header, tensors = checkpoints.normal_form(model)
    header.update(recipe.header(), architecture=name)
    vit_format.write(os.path.join(HERE, name + ".vit"), header, tensors, labels)


def save_timm(folder, plain, recipe, labels):
    """Write a PlainViT as a checkpoint in timm's form; its weights fit bfloat16."""
    c, folder = plain.config, os.path.join(HERE, folder)
    config = checkpoints.timm_config(c, "tiny")
    config["model_args"] = {"num_heads": c.num_heads}
    config["pretrained_cfg"].update(crop_pct=0.88, mean=recipe.mean, std=recipe.std,
                                    label_names=labels)
    tensors = {name: value.to(torch.bfloat16) for name, value in plain.state_dict().items()}
    os.makedirs(folder, exist_ok=True)
    safetensors_io.write(os.path.join(folder, "model.safetensors"), tensors)
    with open(os.path.join(folder, "config.json"), "w") as file:
        json.dump(config, file, indent=2)
        file.write("\n")


def random_pixels(config, seed):
    """(1, C, H, W) in float64, values that float32 can hold."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(1, config.in_chans, *config.img_size, generator=generator).double()


def watch(module, stages, name):
    """Keep a module's output in stages[name]."""
    module.register_forward_hook(lambda _, __, output: stages.update({name: output[0]}))


def save_merged(name, plain, pixels):
    """Logits with merged tokens; no choice among them may be one that rounding can change."""
    logits, margins = zip(*(merged_logits(plain, pixels[0], r) for r in (1, 3, 100)))
    if min(margins) < 1e-4:
        raise RuntimeError(f"{name}: two tokens are as similar as two others")
    save(f"{name}_merge.f32", *logits)


def tiny():
    """The torchvision model and all that it computes."""
    config = Config((32, 32), (8, 8), 3, 7, 48, 3, 3, mlp_dim=96)
    model = rounded(randomise(VisionTransformer(32, 8, 3, 3, 48, 96, num_classes=7), seed=1))
    plain = PlainViT(config).double()
    plain.load_state_dict(checkpoints.timm_names(model.state_dict()))
    recipe = recipes.Recipe((32, 32), resize_size=(36, 36))
    save_model("tiny", plain, recipe, LABELS)
    save_timm("tiny_timm", plain, recipe, LABELS)
    stages = {}
    watch(model.encoder.dropout, stages, "embed")
    for i, block in enumerate(model.encoder.layers):
        watch(block, stages, f"block{i}")
    watch(model.encoder.ln, stages, "norm")
    pixels = random_pixels(config, seed=2)
    stages["logits"] = model(pixels)
    stages["pixels"] = pixels
    for stage, values in stages.items():
        save(f"tiny_{stage}.f32", values)
    save_merged("tiny", plain, pixels)


def tiny_avg():
    """The model with everything that torchvision does not have."""
    config = Config((24, 40), (6, 10), 1, 5, 40, 2, 5, mlp_dim=24, pool="avg", fc_norm=True,
                    qkv_bias=False, act="gelu_tanh")
    model = rounded(randomise(PlainViT(config), seed=3))
    recipe = recipes.Recipe((24, 40), 1, recipes.EXACT, (24, 40), 0, recipes.ROUND_FLOOR, 255.0,
                            (0.5,), (0.25,))
    save_model("tiny_avg", model, recipe, [])
    pixels = random_pixels(config, seed=4)
    stages = list(model.stages(pixels))
    save("tiny_avg_pixels.f32", pixels)
    save("tiny_avg_embed.f32", stages[0])
    for i, values in enumerate(stages[1:]):
        save(f"tiny_avg_block{i}.f32", values)
    save("tiny_avg_norm.f32", model.pooled(stages[-1])[0])
    save("tiny_avg_logits.f32", model(pixels))
    save_merged("tiny_avg", model, pixels)


def single(array):
    """float64 values that float32 can hold."""
    return torch.as_tensor(array).float().double()


def gelu():
    """Both forms from -10 to 10."""
    x = single(np.linspace(-10, 10, 401))
    save("gelu.f32", x, nn.GELU()(x), nn.GELU(approximate="tanh")(x))


def layer_norm(random):
    """Five rows, two of them hard."""
    x = random.standard_normal((5, 40)) * np.array([[1], [20], [0.05], [0], [1]])
    x = single(x + np.array([[0], [3], [0], [2.5], [1000]]))
    norm = nn.LayerNorm(40, eps=1e-6).double()
    with torch.no_grad():
        norm.weight.copy_(single(1 + 0.3 * random.standard_normal(40)))
        norm.bias.copy_(single(random.standard_normal(40)))
        save("layer_norm.f32", x, norm.weight, norm.bias, norm(x))


def softmax(random):
    """Five rows, three of them hard."""
    x = random.standard_normal((5, 37)) * np.array([[1], [10], [0], [0], [1]])
    x[2] = np.linspace(-200, 200, 37)
    x[4] += 10000
    x = single(x)
    save("softmax.f32", x, x.softmax(dim=-1))


def attention(random):
    """Two heads over 13 tokens."""
    q, k, v = (single(2 * random.standard_normal((2, 13, 24))) for _ in range(3))
    weights = (q @ k.transpose(-2, -1) * 24**-0.5).softmax(dim=-1)
    save("attention.f32", q, k, v, weights @ v)


def top_k(random):
    """Scores with equal ones and NaN; the order: largest first, equal ones by index, NaN last."""
    scores = np.round(random.standard_normal(64) * 4).astype(np.float32) / 4
    scores[[5, 6, 40]] = np.nan
    scores[[7, 50]] = np.inf
    scores[[8, 51]] = -np.inf
    order = sorted(range(64), key=lambda i: (np.isnan(scores[i]), -np.nan_to_num(scores[i], nan=0,
                   posinf=np.inf, neginf=-np.inf), i))
    save("top_k.f32", scores)
    save("top_k.i32", order, dtype="<i4")


def picture(random, width, height, channels):
    """A picture with smooth parts, edges and noise."""
    y, x = np.mgrid[:height, :width]
    planes = [128 + 100 * np.sin(x / (3 + c) + y / (5 - c)) for c in range(channels)]
    values = np.stack(planes, axis=-1) + random.standard_normal((height, width, channels)) * 40
    values[height // 3 : height // 2, width // 4 : width // 2] = 255
    values[height // 2 : 3 * height // 4, width // 3 : width // 2] = 0
    return values.clip(0, 255).astype(np.uint8)


def preprocess_cases():
    """(name, width, height, channels, recipe)."""
    make = recipes.Recipe
    half = dict(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    grey = dict(in_chans=1, mean=(0.2860,), std=(0.3530,))
    none, exact, floor = recipes.NONE, recipes.EXACT, recipes.ROUND_FLOOR
    return [
        ("down_bicubic", 57, 43, 3, make((16, 16), resize_size=(18, 18))),
        ("down_bilinear", 43, 57, 3, make((16, 16), resize_size=(19, 19), interpolation=0)),
        ("up_bicubic", 9, 7, 3, make((20, 20), resize_size=(23, 23), **half)),
        ("up_bilinear", 7, 11, 3, make((20, 20), resize_size=(20, 20), interpolation=0, **half)),
        ("exact", 31, 22, 3, make((16, 24), resize=exact, resize_size=(16, 24), **half)),
        ("exact_crop_floor", 50, 30, 3,
         make((14, 15), resize=exact, resize_size=(21, 18), crop=floor, **half)),
        ("crop_even", 50, 30, 3, make((14, 15), resize=exact, resize_size=(21, 18), **half)),
        ("none_pad", 13, 21, 3, make((18, 16), resize=none, resize_size=(0, 0))),
        ("none_pad_floor", 13, 21, 3, make((18, 16), resize=none, resize_size=(0, 0), crop=floor)),
        ("grey_picture", 40, 28, 1, make((16, 16), resize_size=(17, 17))),
        ("grey_model", 40, 28, 3, make((16, 16), resize_size=(17, 17), **grey)),
        ("grey_both", 28, 28, 1, make((28, 28), resize=none, resize_size=(0, 0), **grey)),
        ("wide", 300, 3, 3, make((8, 12), resize_size=(8, 12), interpolation=0)),
        ("tall", 2, 90, 3, make((12, 4), resize_size=(4, 4))),
    ]


def preprocess(random):
    """The pictures, what becomes of them, and the list of the cases."""
    lines = []
    for name, width, height, channels, recipe in preprocess_cases():
        array = picture(random, width, height, channels)
        save(f"{name}_in.u8", array, dtype="u1")
        image = array[:, :, 0] if channels == 1 else array
        save(f"{name}_out.f32", recipes.preprocess(recipe, image))
        h = recipe.header()
        numbers = [width, height, channels, h["in_chans"], *h["img_size"], h["resize"],
                   *h["resize_size"], h["interpolation"], h["crop"]]
        floats = [h["rescale"], *h["mean"], *h["std"]]
        floats = [f"{np.float32(x):.9g}" for x in floats]
        lines.append(" ".join([name, *map(str, numbers), *floats]))
    with open(os.path.join(HERE, "preprocess.txt"), "w") as file:
        file.write("\n".join(lines) + "\n")


def main():
    """Write all files."""
    torch.set_grad_enabled(False)
    torch.set_num_threads(1)
    random = np.random.default_rng(5)
    tiny()
    tiny_avg()
    gelu()
    layer_norm(random)
    softmax(random)
    attention(random)
    top_k(random)
    preprocess(random)


if __name__ == "__main__":
    main()
