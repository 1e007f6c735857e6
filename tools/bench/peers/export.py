"""Writes a model with random weights, once for each contestant, and a tensor to classify.

    export.py SIZE FOLDER BUILD DTYPES

SIZE is ti, s or b. FOLDER gets model.onnx, model-int8.onnx, model.pt (the module), pixels.f32, and
of each of DTYPES (f32,f16,...: what vit-convert --dtype knows) a model-DTYPE.vit; that of f32 is
model.vit.

The ONNX graph is what PyTorch exports of a module with one matrix for q, k and v, its LayerNorms
single operators (opset 17): ONNX Runtime's optimiser knows those forms. torchvision's model cannot
be exported: in eval mode nn.MultiheadAttention takes a path that ONNX has no word for.
"""
import os
import shutil
import sys

import onnx
import torch

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../tests/parity"))

import checkpoints  # noqa: E402
from plain_vit import Config, PlainViT, randomise  # noqa: E402
from programs import Programs, dtype_options  # noqa: E402
from quantize import quantize  # noqa: E402
from sizes import SIZES  # noqa: E402

SEED = 1


def model_of(size):
    """A PlainViT in its config, with random weights."""
    config = Config(**SIZES[size])
    return randomise(PlainViT(config), SEED)


def export_onnx(model, pixels, path):
    """Write the ONNX file, and see to it that LayerNorm stayed whole."""
    torch.onnx.export(model, pixels, path, opset_version=17, input_names=["pixels"],
                      output_names=["logits"])
    nodes = [node.op_type for node in onnx.load(path).graph.node]
    norms = 2 * model.config.depth + 1
    if nodes.count("LayerNormalization") != norms or "Erf" not in nodes:
        raise RuntimeError(f"{path}: not the graph that ONNX Runtime is fastest with")


def export_onnx_int8(path, depth, target):
    """Write the ONNX file's linear layers in the blocks in int8."""
    model = onnx.load(path)
    if quantize(model) != 4 * depth:
        raise RuntimeError(f"{path}: not the linear layers of the blocks")
    onnx.checker.check_model(model)
    onnx.save(model, target)


def convert(programs, checkpoint, folder, dtypes):
    """Write the .vit files."""
    source = checkpoint.save(os.path.join(folder, "source"))
    for dtype in dtypes:
        name = "model.vit" if dtype == "f32" else f"model-{dtype}.vit"
        options = checkpoint.options + dtype_options(dtype)
        programs.convert(options, source, os.path.join(folder, name))
    shutil.rmtree(source)


def main():
    """Write all files of one size."""
    size, folder, build, dtypes = sys.argv[1:]
    torch.set_grad_enabled(False)
    os.makedirs(folder, exist_ok=True)
    model = model_of(size)
    generator = torch.Generator().manual_seed(SEED)
    pixels = torch.randn(1, 3, 224, 224, generator=generator)
    pixels.numpy().tofile(os.path.join(folder, "pixels.f32"))
    onnx_path = os.path.join(folder, "model.onnx")
    export_onnx(model, pixels, onnx_path)
    export_onnx_int8(onnx_path, model.config.depth, os.path.join(folder, "model-int8.onnx"))
    torch.save(model, os.path.join(folder, "model.pt"))
    checkpoint = checkpoints.timm(model.config, model.state_dict(), f"vit_{size}_patch16_224")
    convert(Programs(build), checkpoint, folder, dtypes.split(","))


if __name__ == "__main__":
    main()
