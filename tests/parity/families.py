"""Compares vit-convert and vit-classify with PyTorch on every family of plain ViT.

    families.py BUILD [PART]

BUILD is the folder with the programs; with PART, only the cases with PART in their name run. Each is a
small model with random weights under the names that its source gives them. The references are modules
of torch.nn's own layers, written from the papers and the layouts (plain_vit.py), and for post-norm
torch.nn.TransformerEncoderLayer itself. A case passes where no number of the output is further from
PyTorch's than 1e-5 of the largest, with weights of the size that trained ones have; and where int8's
are 2 % of the largest from float32's at most, in the root mean square, with weights as timm starts to
train with. (The worst of 100 numbers is two or three times as far off, in a plain ViT too.)
"""
import os
import re
import sys
import tempfile

import numpy as np
import torch
from torch import nn

from checkpoints import Checkpoint
from parity import Session, random_pixels, relative_error
from plain_vit import Config, PlainViT, randomise

TOLERANCE, INT8 = 1e-5, 0.02
WIDTH = 192


def small(**changes):
    """A model of two blocks, with changes."""
    values = dict(img_size=(32, 32), patch_size=(8, 8), num_classes=100, embed_dim=WIDTH, depth=2,
                  num_heads=4, mlp_dim=384)
    return Config(**{**values, **changes})


def named(state, rules):
    """The tensors under other names: the first pattern that is in a name replaces it."""
    result = {}
    for name, tensor in state.items():
        for old, new in rules:
            match = re.fullmatch(old, name)
            if match:
                result[match.expand(new)] = tensor
                break
        else:
            raise KeyError(name)
    return result


def split(state):
    """q, k and v apart, under blocks.0.attn.q and so on."""
    result = {}
    for name, tensor in state.items():
        if ".attn.qkv." in name:
            for letter, part in zip("qkv", tensor.chunk(3)):
                result[name.replace("qkv", letter)] = part
        else:
            result[name] = tensor
    return result


# ---- weights ----

def as_at_the_start(module, seed):
    """timm's init_weights, with biases that are not zeros."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in sorted(module.named_parameters()):
            values = torch.randn(parameter.shape, generator=generator) * 0.02
            is_norm = parameter.dim() == 1 and not name.endswith("bias")
            parameter.copy_(values + 1 if is_norm else values)
    return module.eval()


ways = {"trained": randomise, "start": as_at_the_start}
way = "trained"


def weighted(module, seed):
    """Random weights of the kind that is tried now."""
    return ways[way](module, seed)


# ---- names ----

END = r"(weight|bias)"
BLOCK = r"blocks\.(\d+)\."


def hf_block(norm1, norm2, fc1, fc2):
    """Hugging Face's names of a block."""
    layer = r"encoder.layer.\1."
    return [(BLOCK + r"attn\.q\." + END, layer + r"attention.attention.query.\2"),
            (BLOCK + r"attn\.k\." + END, layer + r"attention.attention.key.\2"),
            (BLOCK + r"attn\.v\." + END, layer + r"attention.attention.value.\2"),
            (BLOCK + r"attn\.proj\." + END, layer + r"attention.output.dense.\2"),
            (BLOCK + r"norm1\." + END, layer + norm1 + r".\2"),
            (BLOCK + r"norm2\." + END, layer + norm2 + r".\2"),
            (BLOCK + r"mlp\.fc1\." + END, layer + fc1 + r".\2"),
            (BLOCK + r"mlp\.fc2\." + END, layer + fc2 + r".\2"),
            (BLOCK + r"ls(\d)\.gamma", layer + r"layer_scale\2.lambda1"),
            (r"norm\." + END, r"layernorm.\1"),
            (r"cls_token", "embeddings.cls_token"),
            (r"reg_token", "embeddings.register_tokens"),
            (r"pos_embed", "embeddings.position_embeddings"),
            (r"patch_embed\.proj\." + END, r"embeddings.patch_embeddings.projection.\1"),
            (r"head\." + END, r"HEAD.\1")]


def hugging_face(state, prefix, *block):
    """Names of a model within a classifier."""
    names = named(split(state), hf_block(*block))
    return {name.replace("HEAD", "classifier") if name.startswith("HEAD") else prefix + name: tensor
            for name, tensor in names.items()}


VIT_BLOCK = ("layernorm_before", "layernorm_after", "intermediate.dense", "output.dense")

CLIP = [(r"cls_token", "embeddings.class_embedding"),
        (r"pos_embed", "embeddings.position_embedding.weight"),
        (r"patch_embed\.proj\.weight", "embeddings.patch_embedding.weight"),
        (r"norm_pre\." + END, r"pre_layrnorm.\1"),
        (BLOCK + r"norm(\d)\." + END, r"encoder.layers.\1.layer_norm\2.\3"),
        (BLOCK + r"attn\.(q|k|v)\." + END, r"encoder.layers.\1.self_attn.\2_proj.\3"),
        (BLOCK + r"attn\.proj\." + END, r"encoder.layers.\1.self_attn.out_proj.\2"),
        (BLOCK + r"mlp\.(fc\d)\." + END, r"encoder.layers.\1.mlp.\2.\3"),
        (r"norm\." + END, r"post_layernorm.\1"),
        (r"head\.weight", "PROJECTION")]

OPENAI = [(r"cls_token", "class_embedding"),
          (r"pos_embed", "positional_embedding"),
          (r"patch_embed\.proj\.weight", "conv1.weight"),
          (r"norm_pre\." + END, r"ln_pre.\1"),
          (BLOCK + r"norm(\d)\." + END, r"transformer.resblocks.\1.ln_\2.\3"),
          (BLOCK + r"attn\.qkv\." + END, r"transformer.resblocks.\1.attn.in_proj_\2"),
          (BLOCK + r"attn\.proj\." + END, r"transformer.resblocks.\1.attn.out_proj.\2"),
          (BLOCK + r"mlp\.fc1\." + END, r"transformer.resblocks.\1.mlp.c_fc.\2"),
          (BLOCK + r"mlp\.fc2\." + END, r"transformer.resblocks.\1.mlp.c_proj.\2"),
          (r"norm\." + END, r"ln_post.\1"),
          (r"head\.weight", "proj")]

LUCIDRAINS = [(r"pos_embed", "pos_embedding"), (r"cls_token", "cls_token"),
              (r"patch_embed\.patch_norm\." + END, r"to_patch_embedding.1.\1"),
              (r"patch_embed\.proj\." + END, r"to_patch_embedding.PROJ.\1"),
              (r"patch_embed\.norm\." + END, r"to_patch_embedding.3.\1"),
              (r"norm\." + END, r"transformer.norm.\1"), (r"head\." + END, r"mlp_head.\1"),
              (r"fc_norm\." + END, r"mlp_head.0.\1")]
LAYER = r"transformer.layers.\1."
NEWER = [(BLOCK + r"norm1\." + END, LAYER + r"0.norm.\2"),
         (BLOCK + r"attn\.qkv\.weight", LAYER + r"0.to_qkv.weight"),
         (BLOCK + r"attn\.proj\." + END, LAYER + r"0.to_out.0.\2"),
         (BLOCK + r"norm2\." + END, LAYER + r"1.net.0.\2"),
         (BLOCK + r"mlp\.fc1\." + END, LAYER + r"1.net.1.\2"),
         (BLOCK + r"mlp\.fc2\." + END, LAYER + r"1.net.4.\2")]
OLDER = [(BLOCK + r"norm1\." + END, LAYER + r"0.norm.\2"),
         (BLOCK + r"attn\.qkv\.weight", LAYER + r"0.fn.to_qkv.weight"),
         (BLOCK + r"attn\.proj\." + END, LAYER + r"0.fn.to_out.0.\2"),
         (BLOCK + r"norm2\." + END, LAYER + r"1.norm.\2"),
         (BLOCK + r"mlp\.fc1\." + END, LAYER + r"1.fn.net.0.\2"),
         (BLOCK + r"mlp\.fc2\." + END, LAYER + r"1.fn.net.3.\2")]


def pixels_last(c, weight):
    """(..., channel * row * column) to (..., row * column * channel)."""
    height, width = c.patch_size
    rows = weight.reshape(-1, c.in_chans, height, width).permute(0, 2, 3, 1)
    return rows.reshape(*weight.shape[:1], -1) if weight.dim() > 1 else rows.reshape(-1)


def lucidrains(c, state, block):
    """lucidrains' vit-pytorch."""
    result = named(state, LUCIDRAINS + block)
    linear = "2" if c.patch_norm else "1"
    result = {name.replace("PROJ", linear): tensor for name, tensor in result.items()}
    name = f"to_patch_embedding.{linear}.weight"
    result[name] = pixels_last(c, result[name])
    if c.patch_norm:
        for end in ("weight", "bias"):
            result[f"to_patch_embedding.1.{end}"] = pixels_last(
                c, result[f"to_patch_embedding.1.{end}"])
    if c.fc_norm:
        for end in ("weight", "bias"):
            result[f"mlp_head.1.{end}"] = result.pop(f"mlp_head.{end}")
    return result


def hf_config(c, **changes):
    """A config.json of Hugging Face's."""
    values = dict(hidden_size=c.embed_dim, num_hidden_layers=c.depth, layer_norm_eps=c.norm_eps,
                  num_attention_heads=c.num_heads, intermediate_size=c.mlp_dim, hidden_act=c.act,
                  image_size=c.img_size[0], patch_size=c.patch_size[0], num_channels=c.in_chans,
                  id2label={str(i): f"label {i}" for i in range(c.num_classes)})
    return {**values, **changes}


# ---- models: name, Config, checkpoint ----

def timm_cases():
    """timm's names, with what each kind of its models has."""
    heads = ["--heads", "4"]
    kinds = {
        "qk_norm": (small(qk_norm=True), []),
        "norm_pre and quick GELU": (small(norm_pre=True, act="quick_gelu", patch_bias=False),
                                    heads + ["--act", "quick_gelu"]),
        "ReLU": (small(act="relu"), heads + ["--act", "relu"]),
        "SwiGLU": (small(act="swiglu", layer_scale=True), heads),
        "no head": (small(num_classes=0), heads),
        "no final norm": (small(final_norm=False), heads),
        "no class token": (small(class_token=False, pool="avg"), heads),
        "no class token, norm or head": (
            small(class_token=False, pool="avg", final_norm=False, num_classes=0), heads),
        "registers, no class token": (
            small(class_token=False, reg_tokens=3, no_embed_class=True, pool="avg", fc_norm=True),
            heads),
        "class token and mean": (small(pool="token_avg"), heads),
        "mean of all": (small(pool="all"), heads + ["--pool", "all"]),
        "head_dim apart": (small(num_heads=3, head_dim=24), ["--heads", "3"]),
    }
    for name, (c, options) in kinds.items():
        model = weighted(PlainViT(c), 1)
        yield f"timm: {name}", model, Checkpoint(model.state_dict(), options=options)
    model = weighted(PlainViT(small(act="swiglu", layer_scale=True)), 2)
    state = {name.replace("mlp.fc1", "mlp.w12").replace("mlp.fc2", "mlp.w3"): tensor
             for name, tensor in model.state_dict().items()}
    state["mask_token"] = torch.zeros(1, WIDTH)
    yield "DINOv2's own names: w12, w3", model, Checkpoint(state, options=heads)
    c = small(layer_scale=True, reg_tokens=4, pool="token_avg")
    model = weighted(PlainViT(c), 2)
    own = dict(model.state_dict())
    state = register_positions(c, own)
    model.load_state_dict(own)
    state["register_tokens"], state["mask_token"] = state.pop("reg_token"), torch.zeros(1, WIDTH)
    for end in ("weight", "bias"):
        state["linear_head." + end] = state.pop("head." + end)
    state = {name if name.startswith("linear") else "backbone." + name: tensor
             for name, tensor in state.items()}
    yield "DINOv2's own, registers and linear head", model, Checkpoint(state, options=heads)


def two_file_cases(folder):
    """DINOv2's own: a backbone and a head, each in a file."""
    model = weighted(PlainViT(small(layer_scale=True, pool="token_avg")), 2)
    state = {**model.state_dict(), "mask_token": torch.zeros(1, WIDTH)}
    path = os.path.join(folder, "linear_head.pth")
    torch.save({end: state.pop("head." + end) for end in ("weight", "bias")}, path)
    yield "DINOv2's own, a head in its own file", model, Checkpoint(
        state, options=["--heads", "4", "--head", path])


def beit(c, seed):
    """A model whose keys have no bias."""
    model = weighted(PlainViT(c), seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("qkv.bias"):
                parameter[WIDTH:2 * WIDTH] = 0
    return model


def beit_cases():
    """BEiT with absolute positions alone: timm's names (and Microsoft's, and EVA's), Hugging Face's."""
    for pool, fc_norm in (("avg", True), ("token", False)):
        c = small(layer_scale=True, pool=pool, fc_norm=fc_norm)
        model = beit(c, 13)
        state = {}
        for name, tensor in model.state_dict().items():
            if name.endswith("qkv.bias"):
                q, _, v = tensor.chunk(3)
                state[name.replace("qkv.bias", "q_bias")] = q
                state[name.replace("qkv.bias", "v_bias")] = v
            else:
                state[re.sub(r"ls(\d)\.gamma", r"gamma_\1", name)] = tensor
        yield f"timm: BEiT, {pool}", model, Checkpoint(state, options=["--heads", "4"])
        names = hf_block(*VIT_BLOCK) + [(r"fc_norm\." + END, r"pooler.layernorm.\1")]
        state = {re.sub(r"layer_scale(\d)\.lambda1", r"lambda_\1", name): tensor
                 for name, tensor in named(split(model.state_dict()), names).items()
                 if "attention.key.bias" not in name}
        state = {name.replace("HEAD", "classifier") if name.startswith("HEAD") else "beit." + name:
                 tensor for name, tensor in state.items()}
        config = hf_config(c, model_type="beit", use_mean_pooling=fc_norm, vocab_size=8192,
                           use_absolute_position_embeddings=True, layer_scale_init_value=0.1)
        yield f"BeitForImageClassification, {pool}", model, Checkpoint(state, config)


def register_positions(c, state):
    """DINOv2's registers have no positions: those of the model are zeros."""
    state["pos_embed"][:, 1 : 1 + c.reg_tokens] = 0
    kept = [0, *range(1 + c.reg_tokens, c.tokens)]
    return {**state, "pos_embed": state["pos_embed"][:, kept]}


def hf_cases():
    """Hugging Face transformers' names and configs."""
    block = ("norm1", "norm2", "mlp.fc1", "mlp.fc2")
    c = small(layer_scale=True, pool="token_avg")
    model = weighted(PlainViT(c), 3)
    state = hugging_face(model.state_dict(), "dinov2.", *block)
    state["dinov2.embeddings.mask_token"] = torch.zeros(1, WIDTH)
    config = hf_config(c, model_type="dinov2", mlp_ratio=4, use_swiglu_ffn=False, qkv_bias=True)
    del config["intermediate_size"]
    yield "Dinov2ForImageClassification", model, Checkpoint(state, config)
    large = weighted(PlainViT(small(layer_scale=True, pool="token_avg", img_size=(56, 56))), 3)
    state = dict(large.state_dict())
    processor = {"image_processor_type": "BitImageProcessor", "size": {"shortest_edge": 40},
                 "crop_size": {"height": 32, "width": 32}}
    source = Checkpoint(hugging_face(state, "dinov2.", *block),
                        {**config, "image_size": 56}, processor)
    positions = state["pos_embed"][:, 1:].reshape(1, 7, 7, WIDTH).permute(0, 3, 1, 2)
    positions = nn.functional.interpolate(positions, (4, 4), mode="bicubic", align_corners=False)
    state["pos_embed"] = torch.cat(
        [state["pos_embed"][:, :1], positions.flatten(2).transpose(1, 2)], 1)
    model.load_state_dict(state)
    yield "Dinov2 at the size of its processor", model, source
    c = small(layer_scale=True, num_classes=0, act="swiglu")
    model = weighted(PlainViT(c), 4)
    state = hugging_face(model.state_dict(), "", "norm1", "norm2", "mlp.weights_in",
                         "mlp.weights_out")
    config = hf_config(c, model_type="dinov2", use_swiglu_ffn=True, hidden_act="gelu")
    yield "Dinov2Model, SwiGLU", model, Checkpoint(state, config)
    c = small(layer_scale=True, reg_tokens=4, num_classes=0)
    model = weighted(PlainViT(c), 5)
    own = dict(model.state_dict())
    state = hugging_face(register_positions(c, own), "dinov2_with_registers.", *block)
    model.load_state_dict(own)
    config = hf_config(c, model_type="dinov2_with_registers", num_register_tokens=4)
    yield "Dinov2WithRegistersModel", model, Checkpoint(state, config)
    c = small(norm_pre=True, act="quick_gelu", patch_bias=False, head_bias=False, norm_eps=1e-5)
    model = weighted(PlainViT(c), 6)
    names = named(split(model.state_dict()), CLIP)
    state = {"vision_model." + name: tensor for name, tensor in names.items()
             if name != "PROJECTION"}
    for name in ("class_embedding", "position_embedding.weight"):
        state["vision_model.embeddings." + name] = state["vision_model.embeddings." + name].squeeze()
    state["visual_projection.weight"] = names["PROJECTION"]
    yield "CLIPVisionModelWithProjection", model, Checkpoint(
        state, hf_config(c, model_type="clip_vision_model", projection_dim=100))
    whole = {**state, "text_model.final_layer_norm.weight": torch.ones(8),
             "text_projection.weight": torch.ones(100, 8), "logit_scale": torch.ones(())}
    yield "CLIPModel", model, Checkpoint(
        whole, {"model_type": "clip", "vision_config": hf_config(c, model_type="clip_vision_model")})
    c = small()
    model = weighted(PlainViT(c), 7)
    state = hugging_face(model.state_dict(), "vit.", *VIT_BLOCK)
    yield "ViTMSNForImageClassification", model, Checkpoint(
        state, hf_config(c, model_type="vit_msn"))
    c = small(num_classes=0)
    model = weighted(PlainViT(c), 8)
    state = hugging_face(model.state_dict(), "vit.", *VIT_BLOCK)
    state["decoder.decoder_embed.weight"] = torch.ones(8, WIDTH)
    yield "ViTMAEForPreTraining", model, Checkpoint(
        state, hf_config(c, model_type="vit_mae", mask_ratio=0.75))
    c = small(class_token=False, pool="avg")
    model = weighted(PlainViT(c), 9)
    state = hugging_face(model.state_dict(), "ijepa.", *VIT_BLOCK)
    yield "IJepaForImageClassification", model, Checkpoint(state, hf_config(c, model_type="ijepa"))


def openai_cases():
    """OpenAI's CLIP and OpenCLIP: the projection is x @ proj; the text tower has the same names."""
    for act, wrapper in (("quick_gelu", ""), ("gelu", "module.")):
        c = small(norm_pre=True, act=act, patch_bias=False, head_bias=False, norm_eps=1e-5)
        model = weighted(PlainViT(c), 10)
        names = named(model.state_dict(), OPENAI)
        names["proj"] = names["proj"].T.contiguous()
        for name in ("class_embedding", "positional_embedding"):
            names[name] = names[name].squeeze()
        state = {wrapper + "visual." + name: tensor for name, tensor in names.items()}
        state[wrapper + "positional_embedding"] = torch.ones(77, 8)
        state[wrapper + "transformer.resblocks.0.ln_1.weight"] = torch.ones(8)
        state[wrapper + "logit_scale"] = torch.ones(())
        options = ["--heads", "4", "--act", act]
        yield f"CLIP's own names, {act}", model, Checkpoint(state, options=options)


class ZeroShot(nn.Module):
    """CLIP's sums (arXiv:2103.00020, figure 3): cosines with the texts, times a scale."""

    def __init__(self, tower, texts, scale):
        super().__init__()
        self.tower, self.config, self.scale = tower, tower.config, scale
        prompts = nn.functional.normalize(texts if texts.ndim == 3 else texts[:, None], dim=2)
        self.texts = nn.functional.normalize(prompts.mean(1), dim=1)

    def forward(self, pixels):
        return self.scale * nn.functional.normalize(self.tower(pixels), dim=1) @ self.texts.T


def zero_shot_cases(folder):
    """A CLIP's image tower with classes that texts describe."""
    labels = os.path.join(folder, "classes.txt")
    with open(labels, "w") as file:
        file.write("".join(f"class {i}\n" for i in range(7)))
    whole = {name: (model, checkpoint) for name, model, checkpoint in hf_cases()}
    generator = torch.Generator().manual_seed(3)
    kinds = (("CLIPModel", (7, 100), np.e, []), ("CLIPModel", (7, 5, 100), 25, ["--logit-scale", "25"]),
             ("CLIPVisionModelWithProjection", (7, 100), 100, []))
    for number, (name, shape, scale, options) in enumerate(kinds):
        model, checkpoint = whole[name]
        texts = torch.randn(shape, generator=generator)
        path = os.path.join(folder, f"texts-{number}.npy")
        np.save(path, texts.numpy())
        options = ["--classes", path, "--labels", labels, *options]
        yield (f"zero-shot, {name}, texts of {len(shape)} dimensions", ZeroShot(model, texts, scale),
               Checkpoint(checkpoint.tensors, checkpoint.config, options=options))


def run_bad_texts(session, folder):
    """Texts that do not fit: one line that says why."""
    labels = os.path.join(folder, "two.txt")
    with open(labels, "w") as file:
        file.write("cat\ndog\n")
    sources = {name: checkpoint.save(os.path.join(folder, "bad-texts-" + name[0]))
               for name, _, checkpoint in [*hf_cases(), *timm_cases()] if name in ("CLIPModel", "timm: ReLU")}
    ones = np.ones((2, 100), np.float32)
    kinds = {
        "another width": (ones[:, :99], "CLIPModel", labels, "99"),
        "one dimension": (ones[0], "CLIPModel", labels, "1 dimensions"),
        "zeros": (0 * ones, "CLIPModel", labels, "length 0"),
        "not a number": (np.nan * ones, "CLIPModel", labels, "length"),
        "integers": (ones.astype(np.int32), "CLIPModel", labels, "I32"),
        "no names": (ones, "CLIPModel", None, "--labels"),
        "more names": (ones[:1], "CLIPModel", labels, "2 "),
        "a model without a projection": (ones, "timm: ReLU", labels, "projection"),
    }
    for name, (texts, model, names, word) in kinds.items():
        path = os.path.join(folder, "texts.npy")
        np.save(path, texts)
        options = ["--heads", "4", "--classes", path, *(["--labels", names] if names else [])]
        status, _, message = session.programs.run(
            "vit-convert", *options, sources[model], os.path.join(folder, "texts.vit"))
        session.report(f"texts: {name}", "" if status == 1 and word in message else message)


def lucidrains_cases():
    """vit-pytorch of different times."""
    common = dict(qkv_bias=False, norm_eps=1e-5, num_heads=3, head_dim=48)
    kinds = {
        "newer": (small(patch_norm=True, **common), NEWER, []),
        "newer, mean": (small(patch_norm=True, pool="all", **common), NEWER, ["--pool", "all"]),
        "one head, no to_out": (small(patch_norm=True, qkv_bias=False, norm_eps=1e-5, num_heads=1),
                                NEWER, ["--heads", "1"]),
        "older": (small(fc_norm=True, final_norm=True, **common), OLDER, ["--pool", "token"]),
        "older, mean": (small(fc_norm=True, pool="all", **common), OLDER, ["--pool", "all"]),
    }
    for kind, (c, names, options) in kinds.items():
        model = weighted(PlainViT(c), 11)
        if c.num_heads == 1:
            for block in model.blocks:
                block.attn.proj.weight.data = torch.eye(WIDTH)
                block.attn.proj.bias.data.zero_()
        if c.patch_norm:
            state = {("patch_embed." + name if name.startswith("patch_norm") else name): tensor
                     for name, tensor in model.state_dict().items()}
        else:
            state = dict(model.state_dict())
            state["patch_embed.proj.weight"] = state["patch_embed.proj.weight"].flatten(1)
        tensors = lucidrains(c, state, names)
        if c.num_heads == 1:
            tensors = {name: tensor for name, tensor in tensors.items() if "to_out" not in name}
        yield f"lucidrains, {kind}", model, Checkpoint(
            tensors, options=["--heads", str(c.num_heads), *options])


class Encoder(nn.Module):
    """torch.nn.TransformerEncoder behind a patch embedding and a class token."""

    def __init__(self, c, norm_first):
        super().__init__()
        self.config = c
        self.patches = nn.Conv2d(c.in_chans, c.embed_dim, c.patch_size, c.patch_size)
        self.token = nn.Parameter(torch.zeros(1, 1, c.embed_dim))
        self.positions = nn.Parameter(torch.zeros(1, c.tokens, c.embed_dim))
        layer = nn.TransformerEncoderLayer(c.embed_dim, c.num_heads, c.mlp_dim, activation=c.act,
                                           batch_first=True, norm_first=norm_first)
        self.encoder = nn.TransformerEncoder(layer, c.depth, enable_nested_tensor=False)
        self.classes = nn.Linear(c.embed_dim, c.num_classes)

    def forward(self, pixels):
        """(B, C, H, W) to (B, num_classes)."""
        x = self.patches(pixels).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1) + self.positions
        return self.classes(self.encoder(x)[:, 0])


RULES = """
patches.* = patch_embed.proj.*
token = cls_token
positions = pos_embed
encoder.layers.{i}.self_attn.in_proj_weight = blocks.{i}.attn.qkv.weight
encoder.layers.{i}.self_attn.in_proj_bias = blocks.{i}.attn.qkv.bias
encoder.layers.{i}.self_attn.out_proj.* = blocks.{i}.attn.proj.*
encoder.layers.{i}.norm1.* = blocks.{i}.norm1.*
encoder.layers.{i}.norm2.* = blocks.{i}.norm2.*
encoder.layers.{i}.linear1.* = blocks.{i}.mlp.fc1.*
encoder.layers.{i}.linear2.* = blocks.{i}.mlp.fc2.*
classes.* = head.*
"""


def encoder_cases(folder):
    """torch.nn.TransformerEncoder, by a file of names."""
    rules = os.path.join(folder, "names.txt")
    with open(rules, "w") as file:
        file.write(RULES)
    for norm_first in (False, True):
        for act in ("relu", "gelu"):
            c = small(act=act, norm_eps=1e-5)
            model = weighted(Encoder(c, norm_first), 12)
            options = ["--names", rules, "--heads", "4", "--act", act, "--eps", "1e-5"]
            options += [] if norm_first else ["--post-norm"]
            name = f"torch.nn.TransformerEncoder, {act}, {'pre' if norm_first else 'post'}-norm"
            yield name, model, Checkpoint(model.state_dict(), options=options)


REFUSED = {  # a name that a checkpoint has besides, and the word for it
    "blocks.0.attn.rel_pos_h": "relative position",
    "attn_pool.latent": "attention pooling",
    "vision_model.head.probe": "attention pooling",
    "rope.freqs": "rotary",
    "patch_embed.backbone.conv.weight": "convolutional",
    "layers.0.downsample.reduction.weight": "windows",
    "blocks.0.mlp.fc1_g.weight": "SwiGLU",
    "visual.attnpool.c_proj.weight": "ResNet",
    "visual.trunk.pos_embed": "timm",
    "blocks.0.mlp.norm.weight": "norm within the MLP",
    "freqs_cis": "rotary",
}


# ---- comparing ----

def output(session, target, pixels, folder, embeds):
    """The logits or the embedding of a model; ValueError where it is the other."""
    path = os.path.join(folder, "pixels.f32")
    pixels.numpy().astype("<f4").tofile(path)
    (result,) = session.programs.classify(target, "--pixels", path)
    if (result["output"] == "embedding") != embeds:
        raise ValueError(f"the output is {result['output']}")
    return np.array(result["embedding"] if "embedding" in result else result["logits"], np.float64)


def outputs(session, folder, name, model, checkpoint, dtypes):
    """What the model puts out in each type of weights; and the pixels."""
    pixels = random_pixels(model.config, 20)
    source = checkpoint.save(os.path.join(folder, re.sub(r"\W+", "_", name)))
    found = []
    for dtype in dtypes:
        target = os.path.join(folder, dtype + ".vit")
        session.programs.convert([*checkpoint.options, "--dtype", dtype], source, target)
        embeds = not model.config.num_classes or \
            ("CLIP" in name and "--classes" not in checkpoint.options)
        found.append(output(session, target, pixels, folder, embeds))
    return pixels, found


def error_of(session, folder, name, model, checkpoint):
    """(error, its bound): float32 beside PyTorch, or int8 beside float32."""
    if way == "start":
        _, (exact, rough) = outputs(session, folder, name, model, checkpoint, ("f32", "int8"))
        return np.sqrt(np.square(rough - exact).mean()) / np.abs(exact).max(), INT8
    pixels, (found,) = outputs(session, folder, name, model, checkpoint, ("f32",))
    with torch.no_grad():
        return relative_error(found, model(pixels)), TOLERANCE


def run_case(session, folder, name, model, checkpoint):
    """One family."""
    try:
        error, bound = error_of(session, folder, name, model, checkpoint)
        session.report(name, "" if error <= bound else f"at most {bound:g}", f"{error:.1e}")
    except (RuntimeError, ValueError) as problem:
        session.report(name, str(problem))


def clip_key_cases(session, folder):
    """Keys of a whole CLIP's config."""
    for name, model, checkpoint in hf_cases():
        if name != "CLIPModel":
            continue
        for changes, word in (({"xyz": 1}, "xyz"), ({"projection_dim": 7}, "projection_dim")):
            source = Checkpoint(checkpoint.tensors, {**checkpoint.config, **changes}).save(
                os.path.join(folder, "keys"))
            status, _, message = session.programs.run(
                "vit-convert", source, os.path.join(folder, "keys.vit"))
            session.report(f"{name}: {word}", "" if status == 1 and word in message else message)


def run_beit_biases(session, folder):
    """Biases of q and v that are not as BEiT has them."""
    _, _, good = next(beit_cases())
    state = good.tensors
    kinds = {"q_bias alone": ({name: tensor for name, tensor in state.items() if "v_bias" not in name},
                              "v_bias is missing"),
             "one bias more": ({**state, "blocks.1.attn.qkv.bias": torch.zeros(3 * WIDTH)},
                               "blocks.1.attn.qkv.bias"),
             "one bias less": ({name: tensor for name, tensor in state.items()
                                if name != "blocks.1.attn.q_bias"}, "blocks.1.attn.q_bias")}
    for name, (tensors, word) in kinds.items():
        source = Checkpoint(tensors).save(os.path.join(folder, "biases"))
        status, _, message = session.programs.run(
            "vit-convert", "--heads", "4", source, os.path.join(folder, "biases.vit"))
        session.report(f"BEiT, {name}", "" if status == 1 and word in message else message)


def run_bad_heads(session, folder):
    """Files for --head that have no head, or one that does not fit."""
    state = weighted(PlainViT(small(num_classes=0)), 1).state_dict()
    whole = weighted(PlainViT(small()), 1).state_dict()
    ones = torch.ones(10, WIDTH)
    kinds = {"two matrices": ({"a": ones, "b": ones}, state, "2 of them"),
             "no matrix": ({"bias": torch.ones(10)}, state, "0 of them"),
             "another width": ({"weight": torch.ones(10, 7)}, state, "[10, 7]"),
             "of several blocks": ({"weight": torch.ones(10, 5 * WIDTH)}, state, "several blocks"),
             "another bias": ({"weight": ones, "bias": torch.ones(9)}, state, "[9]"),
             "a second head": ({"weight": ones}, whole, "head.weight")}
    for name, (head, tensors, word) in kinds.items():
        path = os.path.join(folder, "head.pth")
        torch.save(head, path)
        source = Checkpoint(tensors).save(os.path.join(folder, "headless"))
        status, _, message = session.programs.run(
            "vit-convert", "--heads", "4", "--head", path, source, os.path.join(folder, "head.vit"))
        session.report(f"--head, {name}", "" if status == 1 and word in message else message)


OPTIONS = {  # of a model: options that do not fit it, and a word of the message
    "timm: SwiGLU": (["--act", "relu"], "SwiGLU"),
    "timm: no head": (["--labels", "imagenet-1k"], "embedding"),
    "timm: ReLU": (["--pool", "mean"], "token_avg"),
}


def run_options(session, folder):
    """Options that are refused."""
    for name, _, checkpoint in timm_cases():
        if name not in OPTIONS:
            continue
        options, word = OPTIONS[name]
        source = checkpoint.save(os.path.join(folder, "options"))
        status, _, message = session.programs.run(
            "vit-convert", "--heads", "4", *options, source, os.path.join(folder, "options.vit"))
        session.report(f"{name}: {' '.join(options)}",
                       "" if status == 1 and word in message else message)


def run_refused(session, folder):
    """Each refusal by its name."""
    state = weighted(PlainViT(small()), 1).state_dict()
    for name, word in REFUSED.items():
        source = Checkpoint({**state, name: torch.zeros(4)}).save(os.path.join(folder, "refused"))
        status, _, message = session.programs.run(
            "vit-convert", "--heads", "4", source, os.path.join(folder, "refused.vit"))
        good = status == 1 and name in message and word in message
        session.report(f"refused: {name}", "" if good else message.strip())


def run_families(session, folder):
    """All of them, with one kind of weights."""
    groups = [timm_cases(), beit_cases(), hf_cases(), openai_cases(), lucidrains_cases(), encoder_cases(folder),
              zero_shot_cases(folder), two_file_cases(folder)]
    for name, model, checkpoint in (case for group in groups for case in group):
        name = f"{name}{', int8' if way == 'start' else ''}"
        if session.wants(name):
            run_case(session, folder, name, model.eval(), checkpoint)


def main():
    """Run all cases."""
    global way
    part = sys.argv[2] if len(sys.argv) > 2 else ""
    with tempfile.TemporaryDirectory() as folder:
        session = Session(sys.argv[1], part, folder)
        for way in ways:
            run_families(session, folder)
        if session.wants("refused"):
            run_refused(session, folder)
            run_options(session, folder)
            run_bad_texts(session, folder)
            run_beit_biases(session, folder)
            run_bad_heads(session, folder)
            clip_key_cases(session, folder)
    print(f"{session.passed} passed, {session.failed} failed")
    sys.exit(session.failed > 0)


if __name__ == "__main__":
    main()
