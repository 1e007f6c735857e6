"""Makes the folder containers beside this script: the same weights in every kind of file that
vit-convert reads. Run it with a Python that has torch.

A plain_vit model: 4x4, patch 2, 8 wide, 2 heads, 1 block, MLP 8, 3 classes. The file before 1.6 has
addresses of memory as names of its storages, so that it is another one each time.
"""
import os
import shutil
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "parity"))

import container_io  # noqa: E402
from plain_vit import Config, PlainViT, randomise  # noqa: E402

FILES = {
    "plain.safetensors": container_io.write_safetensors,
    "float64.safetensors": container_io.write_double,
    "zip.pth": container_io.write_zip,
    "before_1_6.pt": container_io.write_legacy,
    "strides.pth": container_io.write_strides,
    "strides_before_1_6.ckpt": container_io.write_legacy_strides,
    "parameters.bin": container_io.write_parameters,
    "training.pth": container_io.nested_writer("model_ema", ["model"]),
    "deflated.pth": container_io.write_deflated,
    "big_endian.pth": container_io.write_big_endian,
    "untyped.pth": container_io.write_untyped,
    "stored.npz": container_io.write_npz,
    "deflated.npz": container_io.write_npz_deflated,
    "odd.npz": container_io.write_npz_odd,
    "shards": container_io.write_bin_shards,
}


def main():
    """Write all of them."""
    config = Config(img_size=(4, 4), patch_size=(2, 2), num_classes=3, embed_dim=8, depth=1,
                    num_heads=2, mlp_dim=8)
    state = {name: t.bfloat16().float()
             for name, t in randomise(PlainViT(config), 1).state_dict().items()}
    state["norm.weight"] = state["norm.weight"].fill_(0.75)  # which strides.pth has as one number
    target = os.path.join(HERE, "containers")
    shutil.rmtree(target, ignore_errors=True)
    os.makedirs(target)
    for name, write in FILES.items():
        with tempfile.TemporaryDirectory() as folder:
            shutil.move(write(os.path.join(folder, "model"), state), os.path.join(target, name))
    container_io.write_vit_cpp(os.path.join(target, "vit_cpp.gguf"), state, config,
                               ["one", "two", "three"], False)


main()
