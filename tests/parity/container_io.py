"""Writes the same weights into every kind of file that vit-convert reads.

torch.save and numpy write what they can write; what they only can read (other orders of bytes, newer
forms of the pickle) is made of their files. Each writer takes a folder and the tensors by name, in
float32, and returns the path to convert.
"""
import argparse
import collections
import io
import json
import os
import pickle
import struct
import zipfile

import numpy as np
import torch

import safetensors_io


def path_in(folder, name):
    """The path of a file in a folder, which is made."""
    os.makedirs(folder, exist_ok=True)
    return os.path.join(folder, name)


def write_safetensors(folder, state):
    """What all others are compared with."""
    path = path_in(folder, "model.safetensors")
    safetensors_io.write(path, state)
    return path


def write_double(folder, state):
    """The same values in float64."""
    return write_safetensors(folder, {name: t.double() for name, t in state.items()})


# ---- PyTorch --------------------------------------------------------------------------------


def save(folder, name, value, **options):
    """torch.save into a file."""
    path = path_in(folder, name)
    torch.save(value, path, **options)
    return path


def write_zip(folder, state):
    """Since 1.6."""
    return save(folder, "model.pth", collections.OrderedDict(state))


def write_legacy(folder, state):
    """Before 1.6."""
    return save(folder, "model.pt", state, _use_new_zipfile_serialization=False)


def write_protocol(folder, state):
    """Protocol 4 of pickle: frames, short texts, a memo by order."""
    return save(folder, "model.pth", state, pickle_protocol=4)


def write_legacy_protocol(folder, state):
    """The same before 1.6."""
    return save(folder, "model.pth", state, pickle_protocol=5,
                _use_new_zipfile_serialization=False)


def parameters(state):
    """Parameters, with an attribute here and there, which is another function in the pickle."""
    result = collections.OrderedDict()
    for i, (name, t) in enumerate(state.items()):
        result[name] = torch.nn.Parameter(t.clone())
        if i % 3 == 0:
            result[name].is_biased = True
        if i % 3 == 1:
            result[name] = t.clone()
            result[name].note = "a tensor with an attribute"
    return result


def write_parameters(folder, state):
    """As a module's parameters, not their data."""
    return save(folder, "model.bin", parameters(state))


def odd_strides(state):
    """Views: transposed, one after the other in one storage, every second element."""
    together = torch.cat([t.flatten() for t in state.values()])
    result, start = collections.OrderedDict(), 0
    for i, (name, t) in enumerate(state.items()):
        view = together[start : start + t.numel()].view(t.shape)
        start += t.numel()
        if i % 3 == 1 and t.dim() > 1:
            axes = list(range(t.dim()))[::-1]
            view = t.permute(axes).contiguous().permute(axes)
        if i % 3 == 2:
            view = torch.stack([t, torch.full_like(t, 7)], -1)[..., 0]
        if (t == t.flatten()[0]).all():
            view = t.flatten()[0].expand(t.shape)
        result[name] = view
    return result


def write_strides(folder, state):
    """Tensors that are not in C order, and storages that they share."""
    return save(folder, "model.pth", odd_strides(state))


def write_legacy_strides(folder, state):
    """The same before 1.6."""
    return save(folder, "model.ckpt", odd_strides(state), _use_new_zipfile_serialization=False)


def training(state, key, others=()):
    """What a training script saves beside the weights."""
    wrong = collections.OrderedDict((name, t + 1) for name, t in state.items())
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.AdamW([weight])
    weight.grad = torch.ones(3)
    optimizer.step()
    return {
        "epoch": 12,
        "best": torch.tensor(81.5),
        "args": argparse.Namespace(lr=1e-3, name="a", sizes=[1, 2], path=None),
        "scores": {np.float64(1.5): np.int64(3), "list": [np.float32(0.5), (1, 2.5, None, True)]},
        "random": np.random.RandomState(0).get_state(),
        "device": torch.device("cpu"),
        "dtype": torch.float32,
        "size": torch.Size([2, 3]),
        "large": 1 << 80,
        "negative": -70000,
        "optimizer": optimizer.state_dict(),
        **{other: wrong for other in others},
        key: collections.OrderedDict(state),
    }


def nested_writer(key, others=(), wrap=None, **options):
    """A writer of a training's checkpoint; the tensors under key are those that count."""

    def write(folder, state):
        value = training(state, key, others)
        if wrap:
            value[key] = {wrap: value[key], "decay": 0.999}
        return save(folder, "model.pth", value, **options)

    return write


def write_module_state(folder, state):
    """state_dict() of modules: it has an attribute _metadata."""
    tree = torch.nn.Module()
    for name, t in state.items():
        module = tree
        *path, last = name.split(".")
        for part in path:
            if part not in module._modules:
                module.add_module(part, torch.nn.Module())
            module = module._modules[part]
        module.register_parameter(last, torch.nn.Parameter(t.clone()))
    return save(folder, "model.pth", tree.state_dict())


def write_entries(path, entries, compression=zipfile.ZIP_STORED):
    """Write an archive, of no time, so that the bytes are the same again."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in entries.items():
            entry = zipfile.ZipInfo(name)
            entry.compress_type = compression
            archive.writestr(entry, data)
    return path


def read_entries(path):
    """The entries of an archive by name."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write_deflated(folder, state):
    """Packed once more by a program for zip archives: PyTorch reads that, too."""
    path = write_zip(folder, state)
    return write_entries(path, read_entries(path), zipfile.ZIP_DEFLATED)


def write_big_endian(folder, state):
    """As a machine with the other order of bytes writes it, since 2.1."""
    path = write_zip(folder, state)
    entries = read_entries(path)
    for name, data in entries.items():
        if "/data/" in name:
            entries[name] = np.frombuffer(data, "<f4").astype(">f4").tobytes()
    return write_entries(path, {**entries, "model/byteorder": b"big"})


class Global:
    """A function of torch's that is not in this version, by name."""

    def __init__(self, module, name):
        self.module, self.name = module, name


class Call:
    """A call of one."""

    def __init__(self, function, arguments):
        self.function, self.arguments = function, arguments


class Storage:
    """A storage by its key, of bytes."""

    def __init__(self, key, size):
        self.key, self.size = key, size


class Writer(pickle._Pickler):
    """A pickle of them. Python's own pickler in Python, so that names need not be found."""

    def persistent_id(self, obj):
        """As torch.save has it for a storage without a type."""
        if isinstance(obj, Storage):
            return ("storage", Global("torch.storage", "UntypedStorage"), obj.key, "cpu", obj.size)
        return None

    def save(self, obj, save_persistent_id=True):
        """Names and calls, or what pickle does by itself."""
        if isinstance(obj, Global):
            self.write(f"c{obj.module}\n{obj.name}\n".encode())
        elif isinstance(obj, Call):
            self.save(obj.function)
            self.save(obj.arguments)
            self.write(pickle.REDUCE)
        else:
            super().save(obj, save_persistent_id)


def write_untyped(folder, state):
    """As newer versions write types that have no storage of their own (_rebuild_tensor_v3)."""
    path = path_in(folder, "model.pth")
    function, none = Global("torch._utils", "_rebuild_tensor_v3"), collections.OrderedDict()
    value, storages = {}, {}
    for i, (name, t) in enumerate(state.items()):
        data = b"\0" * 4 + t.numpy().tobytes()
        storages[f"model/data/{i}"] = data
        arguments = (Storage(str(i), len(data)), 1, tuple(t.shape), t.stride(), False, none,
                     Global("torch", "float32"))
        value[name] = Call(function, arguments)
    text = io.BytesIO()
    Writer(text, 2).dump(value)
    return write_entries(path, {"model/data.pkl": text.getvalue(), "model/byteorder": b"little",
                                **storages, "model/version": b"3\n"})


def write_bin_shards(folder, state):
    """pytorch_model.bin in two shards."""
    names, weight_map = list(state), {}
    for shard in range(2):
        file = f"pytorch_model-{shard + 1:05d}-of-00002.bin"
        part = {name: state[name] for name in names[shard::2]}
        save(folder, file, part)
        weight_map.update({name: file for name in part})
    with open(path_in(folder, "pytorch_model.bin.index.json"), "w") as index:
        json.dump({"metadata": {}, "weight_map": weight_map}, index)
    return folder


# ---- NumPy ----------------------------------------------------------------------------------


def arrays(state):
    """The tensors as arrays."""
    return {name: t.numpy() for name, t in state.items()}


def write_npz(folder, state):
    """Stored."""
    path = path_in(folder, "model.npz")
    np.savez(path, **arrays(state))
    return path


def write_npz_deflated(folder, state):
    """Deflated."""
    path = path_in(folder, "model.npz")
    np.savez_compressed(path, **arrays(state))
    return path


def write_npz_odd(folder, state):
    """Fortran's order, float64, and the other order of bytes."""
    path = path_in(folder, "model.npz")
    odd = [np.asfortranarray, lambda a: a.astype("<f8"), lambda a: a.astype(">f4")]
    np.savez(path, **{name: odd[i % 3](a) for i, (name, a) in enumerate(arrays(state).items())})
    return path


def write_npy(folder, state):
    """A folder with a file for each array."""
    for name, array in arrays(state).items():
        np.save(path_in(folder, name + ".npy"), array)
    return folder


# ---- vit.cpp --------------------------------------------------------------------------------


def vit_cpp_type(name, tensor, half):
    """1 (half precision) or 0, as its script decides."""
    return int(half and tensor.dim() != 1 and name not in ("pos_embed", "cls_token"))


def vit_cpp_state(state, half):
    """The values that its file has."""
    return {name: t.half().float() if vit_cpp_type(name, t, half) else t
            for name, t in state.items()}


def write_vit_cpp(path, state, config, labels, half):
    """As convert-pth-to-ggml.py of vit.cpp does. config is a plain_vit.Config."""
    numbers = [config.embed_dim, config.depth, config.num_heads, config.num_classes,
               config.patch_size[0], config.img_size[0], int(half), len(labels)]
    with open(path, "wb") as file:
        file.write(struct.pack("<9i", 0x67676D6C, *numbers))
        for i, label in enumerate(labels):
            file.write(struct.pack("<2i", i, len(label.encode())) + label.encode())
        for name, t in state.items():
            kind = vit_cpp_type(name, t, half)
            shape = (1, len(t), 1, 1) if name == "patch_embed.proj.bias" else tuple(t.shape)
            file.write(struct.pack("<3i", len(shape), len(name), kind))
            file.write(struct.pack(f"<{len(shape)}i", *reversed(shape)) + name.encode())
            file.write(t.numpy().astype("<f2" if kind else "<f4").tobytes())
    return path


WRITERS = {
    "safetensors, float64": write_double,
    "PyTorch": write_zip,
    "PyTorch before 1.6": write_legacy,
    "PyTorch, protocol 4": write_protocol,
    "PyTorch before 1.6, protocol 5": write_legacy_protocol,
    "PyTorch, parameters": write_parameters,
    "PyTorch, state_dict()": write_module_state,
    "PyTorch, odd strides": write_strides,
    "PyTorch before 1.6, odd strides": write_legacy_strides,
    "PyTorch, deflated": write_deflated,
    "PyTorch, big-endian": write_big_endian,
    "PyTorch, untyped storages": write_untyped,
    "PyTorch, shards": write_bin_shards,
    "NumPy .npz": write_npz,
    "NumPy .npz, deflated": write_npz_deflated,
    "NumPy .npz, odd arrays": write_npz_odd,
    "NumPy .npy": write_npy,
    "model": nested_writer("model"),
    "model before 1.6": nested_writer("model", _use_new_zipfile_serialization=False),
    "state_dict": nested_writer("state_dict"),
    "model_state": nested_writer("model_state"),
    "model_state_dict": nested_writer("model_state_dict"),
    "teacher before student": nested_writer("teacher", ["student"]),
    "model_ema before model": nested_writer("model_ema", ["model"]),
    "state_dict_ema before state_dict": nested_writer("state_dict_ema", ["state_dict"]),
    "net in model": nested_writer("model", wrap="net"),
    "a key that is not known": nested_writer("my_weights"),
}
