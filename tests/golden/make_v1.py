"""Makes v1/: small models of every type of weights and every feature in version 1 of the .vit format.

    make_v1.py BUILD

BUILD is the folder with vit-convert. The format is frozen, and every later build reads these files: a
file that is there is not made again, so that what an older vit-convert wrote stays as it was. For a new
feature, add a case. tests/test_v1.c reads what this writes beside the models:

v1/models.txt   a line for each model: name, XXH32 of its weights, the architecture's outputs, whether it
                embeds (1) or classifies (0)
v1/NAME.f32     the outputs [outputs] that PyTorch gives for the pixels ((i * 37 + 11) mod 256) / 128 - 1,
                i counting through [in_chans][height][width], with the weights of NAME.vit

The weights that the checksum is of are those of each tensor in the order of the directory, as
parity/vit_format.py reads them from the description of the format: rows as they are; a matrix
[padded outputs][padded inputs] as floats, then its bias.
"""
import os
import sys
import tempfile
from dataclasses import dataclass, field, replace

import numpy as np
import torch

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "parity"))

import families  # noqa: E402
import vit_format  # noqa: E402
from checkpoints import Checkpoint  # noqa: E402
from plain_vit import Config, PlainViT, randomise  # noqa: E402
from programs import Programs, dtype_options  # noqa: E402

FOLDER = os.path.join(HERE, "v1")
LABELS = ["tench", "goldfish", "great white shark", "Käfer", "猫"]
PLAIN = Config(img_size=(8, 12), patch_size=(4, 4), num_classes=5, embed_dim=16, depth=2, num_heads=2,
               mlp_dim=24)


@dataclass
class Case:
    """A model: its Config, its type of weights, and what vit-convert is told beside them."""

    name: str
    config: Config
    dtype: str = "f16"
    options: list = field(default_factory=list)
    labels: list = field(default_factory=list)


def case(name, options="", **changes):
    """A case of weights in f16, which differs from PLAIN by changes."""
    return Case(name, replace(PLAIN, head_dim=0, **changes), options=options.split())


CASES = [Case(dtype, PLAIN, dtype, labels=LABELS) for dtype in
         ("f32", "f16", "bf16", "int8", "int8x", "int4")] + [
    case("registers", "--act gelu_tanh", reg_tokens=2, no_embed_class=True, qk_norm=True, act="gelu_tanh"),
    case("embedding", num_classes=0, act="swiglu", norm_pre=True, layer_scale=True),
    case("mean", "--act relu --output sigmoid --resize 26x42 --interpolation bilinear --mean 0.5 --std 0.25",
         pool="avg", fc_norm=True, act="relu", in_chans=1, img_size=(24, 40), patch_size=(6, 10)),
    case("mean_of_all", "--pool all --act quick_gelu --resize none", pool="all", act="quick_gelu"),
    case("token_and_mean", "--output number --mean 0.5 --std 0.5", pool="token_avg", in_chans=5),
    case("no_class_token", "--reject-below 0.3", class_token=False, pool="avg", final_norm=False),
    case("distilled", "", dist_token=True, pool="distilled"),
    case("pre_logits", "--crop-pct 0.8", pre_logits=20),
    case("one_head", "--pos-resample bicubic-offset", num_heads=1),
    case("post_norm", "--act relu --post-norm", act="relu", norm_eps=1e-5),
    case("patch_norm", patch_norm=True, qkv_bias=False, norm_eps=1e-5),
    case("zero_shot", "--act quick_gelu --logit-scale 20", act="quick_gelu", norm_pre=True, num_classes=12,
         img_size=(12, 12), patch_bias=False, head_bias=False),
]


def pixels_of(config):
    """(1, C, H, W): numbers that a program in C makes, too."""
    shape = (1, config.in_chans, *config.img_size)
    i = torch.arange(int(np.prod(shape)))
    return (((i * 37 + 11) % 256).float() / 128 - 1).reshape(shape)


def timm(case, folder):
    """A model, and the checkpoint that vit-convert reads: under timm's names."""
    model = rounded(PlainViT(case.config))
    return model, Checkpoint(model.state_dict(), options=options_of(case, folder))


def post_norm(case, folder):
    """torch.nn.TransformerEncoder's own names."""
    model, path = rounded(families.Encoder(case.config, False)), os.path.join(folder, "names.txt")
    with open(path, "w") as file:
        file.write(families.RULES)
    return model, Checkpoint(model.state_dict(), options=["--names", path, *options_of(case, folder)])


def patch_norm(case, folder):
    """lucidrains' names."""
    model = rounded(PlainViT(case.config))
    state = {"patch_embed." + name if name.startswith("patch_norm") else name: tensor
             for name, tensor in model.state_dict().items()}
    return model, Checkpoint(families.lucidrains(case.config, state, families.NEWER),
                             options=options_of(case, folder))


def zero_shot(case, folder):
    """OpenAI's CLIP with classes by texts."""
    tower = rounded(PlainViT(case.config))
    names = families.named(tower.state_dict(), families.OPENAI)
    names["proj"] = names["proj"].T.contiguous()
    for name in ("class_embedding", "positional_embedding"):
        names[name] = names[name].squeeze()
    texts = torch.randn((7, case.config.num_classes), generator=torch.Generator().manual_seed(3))
    paths = [os.path.join(folder, name) for name in ("texts.npy", "classes.txt")]
    np.save(paths[0], texts.numpy())
    with open(paths[1], "w") as file:
        file.write("".join(f"class {i}\n" for i in range(len(texts))))
    options = ["--classes", paths[0], "--labels", paths[1], *options_of(case, folder)]
    return families.ZeroShot(tower, texts.double(), 20), Checkpoint(
        {"visual." + name: tensor for name, tensor in names.items()}, options=options)


OTHERS = {"post_norm": post_norm, "patch_norm": patch_norm, "zero_shot": zero_shot}


def rounded(module):
    """Random weights that each type of 16 bits holds, so that the outputs are those of the file."""
    with torch.no_grad():
        for parameter in randomise(module, seed=7).parameters():
            parameter.copy_(parameter.to(torch.bfloat16).to(torch.float16))
    return module


def options_of(case, folder):
    """vit-convert's options."""
    c = case.config
    options = ["--heads", c.num_heads, "--size", "{}x{}".format(*c.img_size), "--eps", f"{c.norm_eps:g}"]
    if case.labels:
        path = os.path.join(folder, "labels.txt")
        with open(path, "w") as file:
            file.write("\n".join(case.labels))
        options += ["--labels", path]
    return [str(option) for option in options] + case.options


def weights_of(header, key, tensor):
    """A tensor's weights as bytes of float32, padding included."""
    if not isinstance(tensor, vit_format.Stored):
        rows = np.asarray(tensor, "<f4")
        return vit_format.pad_parts(rows, 1, 1, rows.shape[1]).tobytes()
    return tensor.weights().astype("<f4").tobytes() + tensor.bias.tobytes()


def checksum(path):
    """XXH32 of all weights of a file."""
    header, tensors, _ = vit_format.read_stored(path)
    return vit_format.xxh32(b"".join(weights_of(header, key, tensor) for key, tensor in tensors.items()))


def make(case, programs):
    """Write a model and what PyTorch computes with it."""
    target = os.path.join(FOLDER, case.name + ".vit")
    with tempfile.TemporaryDirectory() as folder:
        model, checkpoint = OTHERS.get(case.name, timm)(case, folder)
        source = checkpoint.save(os.path.join(folder, "checkpoint"))
        programs.convert([*checkpoint.options, *dtype_options(case.dtype)], source, target)
    with torch.no_grad():
        outputs = model.double().eval()(pixels_of(case.config).double())[0]
    outputs.numpy().astype("<f4").tofile(os.path.join(FOLDER, case.name + ".f32"))


def main():
    """Make what is not there, and the list."""
    programs = Programs(sys.argv[1])
    os.makedirs(FOLDER, exist_ok=True)
    lines = []
    for case in CASES:
        path = os.path.join(FOLDER, case.name + ".vit")
        if not os.path.exists(path):
            make(case, programs)
        outputs = os.path.getsize(os.path.join(FOLDER, case.name + ".f32")) // 4
        lines.append(f"{case.name} {checksum(path):08x} {outputs} {int(not case.config.num_classes)}\n")
    with open(os.path.join(FOLDER, "models.txt"), "w") as file:
        file.writelines(lines)


main()
