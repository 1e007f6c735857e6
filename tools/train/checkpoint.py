"""The files of a run: its checkpoint in timm's form, and the state from which it goes on."""

import json
import os
import sys

import torch

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tests/parity"))
import safetensors_io  # noqa: E402


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


def load_weights(model, folder):
    """Those of a checkpoint that save_checkpoint made."""
    model.load_state_dict(safetensors_io.read(folder / "model.safetensors"))


def save_checkpoint(folder, model, config):
    replace_file(folder / "model.safetensors",
                 lambda name: safetensors_io.write(name, model.state_dict()))
    save_text(folder / "config.json", json.dumps(config, indent=2) + "\n")


def save_state(path, settings, progress, parts):
    """progress: how far the run is. parts: what has a state_dict, by name."""
    state = {"settings": settings, "progress": progress, "rng": torch.get_rng_state()}
    state.update((name, part.state_dict()) for name, part in parts.items())
    replace_file(path, lambda name: torch.save(state, name))


def load_state(path, settings, may_change, parts):
    """Restore what save_state saved; returns the progress. Says which of the settings that may change
    have. ValueError where the run was another."""
    state = torch.load(path)
    before = state["settings"]
    others = [key for key in settings if before.get(key) != settings[key]]
    wrong = [key for key in others if key not in may_change]
    if wrong:
        raise ValueError(f"{path}: of a run with another {', '.join(wrong)}; remove it to start anew")
    for key in others:
        print(f"goes on with {key} {settings[key]}, before {before.get(key)}")
    for name, part in parts.items():
        part.load_state_dict(state[name])
    torch.set_rng_state(state["rng"])
    return state["progress"]
