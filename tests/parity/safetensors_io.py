"""Reads and writes .safetensors files: a u64 length, a JSON header, the tensors one by one.

Debian has no package of the official library. Written from the format's description at
https://github.com/huggingface/safetensors.
"""
import json
import os
import struct

import numpy as np
import torch

DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "U8": torch.uint8,
}
NAMES = {dtype: name for name, dtype in DTYPES.items()}


def to_bytes(tensor):
    """The bytes of a tensor, little-endian, in C order."""
    tensor = tensor.detach().contiguous()
    if tensor.dtype == torch.bfloat16:
        tensor = tensor.view(torch.int16)
    return tensor.numpy().tobytes()


def from_bytes(data, dtype, shape):
    """The tensor of a dtype's name and a shape that the bytes hold."""
    if dtype == "BF16":
        bits = np.frombuffer(data, dtype="<u2").astype(np.uint32) << 16
        values = torch.from_numpy(bits.view(np.float32).copy()).to(torch.bfloat16)
    else:
        values = torch.frombuffer(bytearray(data), dtype=DTYPES[dtype])
    return values.reshape(shape)


def write(path, tensors, metadata=None):
    """Write a dictionary of tensors, in its order."""
    header, offset = {}, 0
    if metadata:
        header["__metadata__"] = metadata
    for name, tensor in tensors.items():
        end = offset + tensor.numel() * tensor.element_size()
        header[name] = {
            "dtype": NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [offset, end],
        }
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors.values():
            file.write(to_bytes(tensor))


def read(path):
    """Read all tensors into a dictionary."""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        start = 8 + length
        header.pop("__metadata__", None)
        tensors = {}
        for name, entry in header.items():
            begin, end = entry["data_offsets"]
            file.seek(start + begin)
            tensors[name] = from_bytes(file.read(end - begin), entry["dtype"], entry["shape"])
    return tensors


def write_sharded(folder, tensors, shards):
    """Write the tensors into several files and the index that tells which is where."""
    names = list(tensors)
    weight_map = {}
    for shard in range(shards):
        file_name = f"model-{shard + 1:05d}-of-{shards:05d}.safetensors"
        part = {name: tensors[name] for name in names[shard::shards]}
        write(os.path.join(folder, file_name), part, {"format": "pt"})
        weight_map.update({name: file_name for name in part})
    total = sum(t.numel() * t.element_size() for t in tensors.values())
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    with open(os.path.join(folder, "model.safetensors.index.json"), "w") as file:
        json.dump(index, file)
