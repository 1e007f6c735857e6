"""The same weights under the names of timm, Hugging Face and torchvision, with their JSON files.

Everything starts from timm's names, which plain_vit.PlainViT has as well.
"""
import json
import os
from dataclasses import dataclass, field

import torch

import safetensors_io

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

TORCHVISION_BLOCK = {
    "norm1": "ln_1",
    "attn.qkv.weight": "self_attention.in_proj_weight",
    "attn.qkv.bias": "self_attention.in_proj_bias",
    "attn.proj": "self_attention.out_proj",
    "norm2": "ln_2",
    "mlp.fc1": "mlp.0",
    "mlp.fc2": "mlp.3",
}
TORCHVISION_OUTER = {
    "cls_token": "class_token",
    "pos_embed": "encoder.pos_embedding",
    "patch_embed.proj": "conv_proj",
    "norm": "encoder.ln",
    "pre_logits.fc": "heads.pre_logits",
    "head": "heads.head",
}
HF_BLOCK = {
    "norm1": "layernorm_before",
    "attn.proj": "attention.output.dense",
    "norm2": "layernorm_after",
    "mlp.fc1": "intermediate.dense",
    "mlp.fc2": "output.dense",
}
HF_OUTER = {
    "cls_token": "embeddings.cls_token",
    "dist_token": "embeddings.distillation_token",
    "pos_embed": "embeddings.position_embeddings",
    "patch_embed.proj": "embeddings.patch_embeddings.projection",
    "norm": "layernorm",
}


@dataclass
class Checkpoint:
    """Tensors by name, and the other files of the folder; without a config it is a single file."""

    tensors: dict
    config: dict = None
    preprocessor: dict = None
    shards: int = 1
    options: list = field(default_factory=list)

    def save(self, folder):
        """Write the files. Returns the path to give to the converter."""
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, "model.safetensors")
        if self.shards > 1:
            safetensors_io.write_sharded(folder, self.tensors, self.shards)
        else:
            safetensors_io.write(path, self.tensors, {"format": "pt"})
        for name, values in (("config", self.config), ("preprocessor_config", self.preprocessor)):
            if values is not None:
                with open(os.path.join(folder, name + ".json"), "w") as file:
                    json.dump(values, file, indent=2)
        return path if self.config is None and self.shards == 1 else folder


def swap(name, table):
    """The name with the part that the table knows replaced; None where it knows none."""
    for old, new in table.items():
        if name == old or name.startswith(old + "."):
            return new + name[len(old) :]
    return None


def rename(name, outer, block, prefix):
    """Translate one of timm's names; prefix stands before the block's number."""
    if not name.startswith("blocks."):
        return swap(name, outer)
    _, index, rest = name.split(".", 2)
    inner = swap(rest, block)
    return inner and f"{prefix}{index}.{inner}"


def torchvision_names(state):
    """timm's names to torchvision's."""
    prefix = "encoder.layers.encoder_layer_"
    return {rename(n, TORCHVISION_OUTER, TORCHVISION_BLOCK, prefix): t for n, t in state.items()}


def timm_names(state):
    """torchvision's names to timm's."""
    outer = {new: old for old, new in TORCHVISION_OUTER.items()}
    block = {new: old for old, new in TORCHVISION_BLOCK.items()}
    result = {}
    for name, tensor in state.items():
        name = name.replace("encoder.layers.encoder_layer_", "blocks.")
        result[rename(name, outer, block, "blocks.")] = tensor
    return result


def split_qkv(state, prefix):
    """Hugging Face's three matrices a block out of timm's one."""
    result = {}
    for name, tensor in state.items():
        if ".attn.qkv." not in name:
            continue
        index, kind = name.split(".")[1], name.rsplit(".", 1)[1]
        for part, values in zip(("query", "key", "value"), tensor.chunk(3)):
            result[f"{prefix}{index}.attention.attention.{part}.{kind}"] = values.clone()
    return result


def hf_names(state, prefix, heads):
    """timm's names to Hugging Face's. heads maps timm's names of the heads."""
    result = split_qkv(state, prefix + "encoder.layer.")
    for name, tensor in state.items():
        if ".attn.qkv." in name:
            continue
        new = rename(name, HF_OUTER, HF_BLOCK, "encoder.layer.")
        result[prefix + new if new else swap(name, heads)] = tensor
    return result


def hf_config(c, kind, architecture, labels):
    """config.json of a Hugging Face model."""
    square = c.img_size[0] == c.img_size[1] and c.patch_size[0] == c.patch_size[1]
    return {
        "architectures": [architecture],
        "model_type": kind,
        "hidden_size": c.embed_dim,
        "num_hidden_layers": c.depth,
        "num_attention_heads": c.num_heads,
        "intermediate_size": c.mlp_dim,
        "hidden_act": "gelu" if c.act == "gelu" else "gelu_pytorch_tanh",
        "hidden_dropout_prob": 0.0,
        "layer_norm_eps": c.norm_eps,
        "image_size": c.img_size[0] if square else list(c.img_size),
        "patch_size": c.patch_size[0] if square else list(c.patch_size),
        "num_channels": c.in_chans,
        "qkv_bias": c.qkv_bias,
        "id2label": {str(i): label for i, label in enumerate(labels)},
        "label2id": {label: i for i, label in enumerate(labels)},
    }


def hf_preprocessor(c):
    """preprocessor_config.json as google/vit-base-patch16-224 has it."""
    height, width = c.img_size
    size = height if height == width else {"height": height, "width": width}
    half = [0.5] * c.in_chans
    flags = {"do_normalize": True, "do_resize": True}
    return {**flags, "image_mean": half, "image_std": half, "size": size}


def hf_vit(c, state, labels):
    """ViTForImageClassification."""
    heads = {"head": "classifier"}
    tensors = hf_names(state, "vit.", heads)
    config = hf_config(c, "vit", "ViTForImageClassification", labels)
    return Checkpoint(tensors, config, hf_preprocessor(c))


def hf_deit(c, state, labels):
    """DeiTForImageClassification, or WithTeacher where the model has two heads."""
    teacher = c.pool == "distilled"
    heads = {"head": "cls_classifier", "head_dist": "distillation_classifier"}
    tensors = hf_names(state, "deit.", heads if teacher else {"head": "classifier"})
    name = "DeiTForImageClassification" + ("WithTeacher" if teacher else "")
    preprocessor = {
        "crop_size": {"height": c.img_size[0], "width": c.img_size[1]},
        "do_center_crop": True,
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        "image_mean": list(IMAGENET_MEAN),
        "image_std": list(IMAGENET_STD),
        "resample": 3,
        "rescale_factor": 1 / 255,
        "size": {"height": 256, "width": 256},
    }
    return Checkpoint(tensors, hf_config(c, "deit", name, labels), preprocessor)


def timm_config(c, architecture):
    """config.json as timm writes it for the hub."""
    pool = "avg" if c.pool in ("avg", "all") else "token"
    config = {
        "architecture": architecture,
        "num_classes": c.num_classes,
        "num_features": c.embed_dim,
        "global_pool": pool,
        "pretrained_cfg": {
            "input_size": [c.in_chans, *c.img_size],
            "interpolation": "bicubic",
            "crop_pct": 0.9,
            "crop_mode": "center",
            "mean": [0.5] * c.in_chans,
            "std": [0.5] * c.in_chans,
            "num_classes": c.num_classes,
            "first_conv": "patch_embed.proj",
            "classifier": "head",
        },
    }
    if c.pool == "all":
        config["model_args"] = {"pool_include_prefix": True}
    return config


def option_flags(c):
    """The converter's options for what timm's and torchvision's files do not tell."""
    flags = ["--heads", c.num_heads, "--eps", f"{c.norm_eps:g}", "--act", c.act]
    flags += ["--size", "{}x{}".format(*c.img_size)]
    if c.in_chans == 1:
        flags += ["--mean", ",".join(["0.5"] * c.in_chans), "--std", ",".join(["0.5"] * c.in_chans)]
    return [str(flag) for flag in flags]


def timm(c, state, architecture):
    """timm's names with timm's config.json."""
    return Checkpoint(dict(state), timm_config(c, architecture), options=option_flags(c))


def torchvision(c, state):
    """torchvision's names in a single file, without a config."""
    return Checkpoint(torchvision_names(state), options=option_flags(c))


def normal_form(model):
    """(header, tensors) of a PlainViT as vit_format.write takes them."""
    c = model.config
    s = {name: t.detach().double() for name, t in model.state_dict().items()}
    header = {name: getattr(c, name) for name in
              ("img_size", "patch_size", "in_chans", "num_classes", "embed_dim", "depth",
               "num_heads", "head_dim", "mlp_dim", "prefix_tokens", "pre_logits", "norm_eps")}
    header["head_tokens"] = {"token": 1, "avg": 0, "all": 0, "distilled": 2, "token_avg": 1}[c.pool]
    header["head_avg"] = {"avg": 1, "token_avg": 1, "all": 2}.get(c.pool, 0)
    header["final_norm"] = int(c.fc_norm)
    header["act"] = int(c.act == "gelu_tanh")
    tensors = outer_tensors(c, s)
    for i in range(c.depth):
        block = block_tensors(c, {n[len(f"blocks.{i}.") :]: t for n, t in s.items()
                                  if n.startswith(f"blocks.{i}.")})
        tensors.update({(role, i): value for role, value in block.items()})
    return header, {key: numpy_of(value) for key, value in tensors.items()}


def numpy_of(value):
    """float32 arrays of a tensor or of a pair of tensors."""
    if isinstance(value, tuple):
        return tuple(part.float().numpy() for part in value)
    return value.float().numpy()


def outer_tensors(c, s):
    """The tensors outside the blocks, in normal form, from timm's names."""
    prefix = [s[name][0] for name in ("cls_token", "dist_token", "reg_token") if name in s]
    positions = s["pos_embed"][0]
    if c.no_embed_class:
        positions = torch.cat([positions.new_zeros(c.prefix_tokens, c.embed_dim), positions])
    norm = "fc_norm" if c.fc_norm else "norm"
    head = (s["head.weight"], s["head.bias"])
    if c.pool == "distilled":
        head = (torch.cat([head[0], s["head_dist.weight"]], dim=1) / 2,
                (head[1] + s["head_dist.bias"]) / 2)
    tensors = {
        ("patch_embed", 0): (s["patch_embed.proj.weight"].flatten(1), s["patch_embed.proj.bias"]),
        ("pos_embed", 0): positions,
        ("norm", 0): torch.stack([s[norm + ".weight"], s[norm + ".bias"]]),
        ("head", 0): head,
    }
    if prefix:
        tensors["prefix_tokens", 0] = torch.cat(prefix)
    if c.pre_logits:
        tensors["pre_logits", 0] = (s["pre_logits.fc.weight"], s["pre_logits.fc.bias"])
    return tensors


def block_tensors(c, s):
    """The tensors of one block, in normal form: LayerScale is folded into proj and fc2."""
    weight = s["attn.qkv.weight"]
    bias = s.get("attn.qkv.bias", weight.new_zeros(len(weight)))
    tensors = dict(zip("qkv", zip(weight.chunk(3), bias.chunk(3))))
    for role, name, scale in (("proj", "attn.proj", "ls1"), ("fc1", "mlp.fc1", ""),
                              ("fc2", "mlp.fc2", "ls2")):
        weight, bias = s[name + ".weight"], s[name + ".bias"]
        if c.layer_scale and scale:
            gamma = s[scale + ".gamma"]
            weight, bias = weight * gamma[:, None], bias * gamma
        tensors[role] = (weight, bias)
    for norm in ("norm1", "norm2"):
        tensors[norm] = torch.stack([s[norm + ".weight"], s[norm + ".bias"]])
    return tensors
