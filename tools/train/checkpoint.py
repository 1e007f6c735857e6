"""The files of a run: its checkpoint in timm's form, and the state from which it goes on."""

import json
import os
import struct

import numpy as np
import torch


def replace_file(path, write):
    """Let write(name) make the file under a temporary name, then rename it: an interruption leaves
    the old one."""
    temporary = f"{path}.tmp"
    write(temporary)
    os.replace(temporary, path)


def save_text(path, text):
    def write(name):
        with open(name, "w", encoding="utf-8") as file:
            file.write(text)
    replace_file(path, write)


def write_safetensors(path, state_dict):
    """u64 length of the header, the header in JSON, the data: little endian, float32."""
    header, blobs, offset = {}, [], 0
    for name, tensor in state_dict.items():
        blob = tensor.detach().contiguous().numpy().astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(tensor.shape),
                        "data_offsets": [offset, offset + len(blob)]}
        blobs.append(blob)
        offset += len(blob)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the data starts at a multiple of eight
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def read_safetensors(path):
    """{name: tensor} of a file of float32, as write_safetensors makes it."""
    data = path.read_bytes()
    start = 8 + struct.unpack_from("<Q", data)[0]
    header = json.loads(data[8:start])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        if entry["dtype"] != "F32":
            raise ValueError(f"{path}: {name} is not float32")
        begin, end = entry["data_offsets"]
        values = np.frombuffer(data[start + begin:start + end], "<f4").reshape(entry["shape"])
        tensors[name] = torch.from_numpy(values.copy())
    return tensors


def timm_config(name, model_args, mean, std, labels):
    """What config.json says: the model, its preprocessing, its labels."""
    size, channels = model_args["img_size"], model_args["in_chans"]
    return {
        "architecture": name,
        "num_classes": len(labels),
        "num_features": model_args["embed_dim"],
        "global_pool": model_args["global_pool"],
        "model_args": model_args,
        "pretrained_cfg": {
            "input_size": [channels, size, size], "interpolation": "bilinear",
            "crop_pct": 1.0, "crop_mode": "center", "mean": mean, "std": std,
            "num_classes": len(labels), "first_conv": "patch_embed.proj",
            "classifier": "head", "label_names": labels,
        },
    }


def save_checkpoint(folder, model, config):
    replace_file(folder / "model.safetensors",
                 lambda name: write_safetensors(name, model.state_dict()))
    save_text(folder / "config.json", json.dumps(config, indent=2) + "\n")


def save_state(path, settings, history, parts):
    """history: a row for each epoch. parts: what has a state_dict, by name."""
    state = {"settings": settings, "history": history, "rng": torch.get_rng_state()}
    state.update((name, part.state_dict()) for name, part in parts.items())
    replace_file(path, lambda name: torch.save(state, name))


def load_state(path, settings, parts):
    """Restore what save_state saved; returns the history. ValueError where the run was another."""
    state = torch.load(path)
    other = [key for key in settings if state["settings"].get(key) != settings[key]]
    if other:
        raise ValueError(f"{path}: of a run with another {', '.join(other)}; remove it to start anew")
    for name, part in parts.items():
        part.load_state_dict(state[name])
    torch.set_rng_state(state["rng"])
    return state["history"]
