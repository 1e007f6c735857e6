"""Checks that vit-convert takes the same weights under any names.

    names.py BUILD [PART]

BUILD is the folder with the programs; with PART, only the cases with PART in their name run. The
weights of a small model under other names, in other orders of axes and in pieces are converted with
--names, and prefixed names without; the file has to be that of timm's names, byte by byte. A file of
names that cannot be used has to be refused with the number of the line. Prints a line for each case,
then 'N passed, N failed'.
"""
import collections
import os
import re
import sys
import tempfile

import torch

import checkpoints
import container_io
import safetensors_io
from plain_vit import Config, PlainViT, randomise
from programs import Programs

HEADS, DIM, WIDTH = 3, 8, 24
QKV = {"q": 0, "k": 1, "v": 2}

# What follows the blocks and what goes before them, under names of nobody's.
OUTER = """
# the embedding and the head, which are as in timm
stem.proj.*  = patch_embed.proj.*   # a convolution
token        = cls_token
positions    = pos_embed

final.*      = norm.*
logits.*     = head.*
"""
BLOCK = """
layer{i}.a.*    = blocks.{i}.norm1.*
layer{i}.b.*    = blocks.{i}.norm2.*
layer{i}.up.*   = blocks.{i}.mlp.fc1.*
layer{i}.down.* = blocks.{i}.mlp.fc2.*
"""
PROJ = "layer{i}.out.* = blocks.{i}.attn.proj.*\n"


def small_model(**changes):
    """(config, tensors by timm's names)."""
    values = dict(img_size=(12, 12), patch_size=(4, 4), num_classes=5, embed_dim=WIDTH, depth=3,
                  num_heads=HEADS, mlp_dim=40)
    config = Config(**{**values, **changes})
    return config, {name: t.clone() for name, t in randomise(PlainViT(config), 1).state_dict().items()}


def renamed(state, first=0, proj=True):
    """All but queries, keys and values under other names; blocks are numbered from `first` on."""
    outer = {"patch_embed.proj": "stem.proj", "cls_token": "token", "pos_embed": "positions",
             "norm": "final", "head": "logits"}
    block = {"norm1": "a", "norm2": "b", "mlp.fc1": "up", "mlp.fc2": "down", "attn.proj": "out"}
    result = {}
    for name, t in state.items():
        if ".attn.qkv." in name or (not proj and ".attn.proj." in name):
            continue
        if name.startswith("blocks."):
            _, index, rest = name.split(".", 2)
            result[f"layer{int(index) + first}.{checkpoints.swap(rest, block)}"] = t
        else:
            result[checkpoints.swap(name, outer)] = t
    return result


def attention(state, kind, part=None):
    """(block, tensor) of fused weights or biases; part: of q, k or v alone."""
    for name, t in state.items():
        if name.endswith(f".attn.qkv.{kind}"):
            yield int(name.split(".")[1]), t if part is None else t.chunk(3)[QKV[part]]


def with_weights_and_biases(state, name, make, parts=(None,)):
    """Tensors of all blocks: make gets [qkv, head, dim(, in)] or, of one part, [head, dim(, in)]."""
    result = {}
    for kind in ("weight", "bias"):
        for part in parts:
            for i, t in attention(state, kind, part):
                rows = (HEADS, DIM) if part else (3, HEADS, DIM)
                value = make(t.reshape(*rows, *t.shape[1:]))
                result[name.format(i=i, part=part, kind=kind)] = value.contiguous()
    return result


# ---- cases of names --------------------------------------------------------------------------


def timm_split(state):
    """q, k and v alone, each [out][in]."""
    tensors = with_weights_and_biases(state, "layer{i}.{part}.{kind}", lambda t: t.flatten(0, 1), "qkv")
    rules = "".join(f"layer{{i}}.{p}.* = blocks.{{i}}.attn.{p}.*\n" for p in "qkv")
    return tensors, rules


def fused(state):
    """As timm has it."""
    return (with_weights_and_biases(state, "layer{i}.qkv.{kind}", lambda t: t.flatten(0, 2)),
            "layer{i}.qkv.* = blocks.{i}.attn.qkv.*\n")


def fused_head_first(state):
    """Rows (head qkv dim), as rearrange 'b n (h qkv d)' has them."""
    tensors = with_weights_and_biases(
        state, "layer{i}.qkv.{kind}", lambda t: t.transpose(0, 1).flatten(0, 2))
    return tensors, "layer{i}.qkv.* [(head qkv dim) in] = blocks.{i}.attn.qkv.*\n"


def fused_qkv_last(state):
    """Rows (head dim qkv): the number of heads need not be known."""
    tensors = with_weights_and_biases(
        state, "layer{i}.qkv.{kind}", lambda t: t.movedim(0, 2).flatten(0, 2))
    return tensors, "layer{i}.qkv.* [(head dim qkv) in] = blocks.{i}.attn.qkv.*\n"


def fused_dim_first(state):
    """Rows (dim qkv head)."""
    tensors = with_weights_and_biases(
        state, "layer{i}.qkv.{kind}", lambda t: t.movedim(2, 0).flatten(0, 2))
    return tensors, "layer{i}.qkv.* [(dim qkv head) in] = blocks.{i}.attn.qkv.*\n"


def fused_transposed(state):
    """A kernel [in][out]."""
    tensors = with_weights_and_biases(
        state, "layer{i}.qkv.{kind}",
        lambda t: t.flatten(0, 2).t() if t.dim() == 4 else t.flatten())
    return tensors, "layer{i}.qkv.* [in (qkv head dim)] = blocks.{i}.attn.qkv.*\n"


def per_head(state, part="{part}"):
    """A q, k and v for each head; heads are numbered from 1 on."""
    tensors = {}
    for name, t in with_weights_and_biases(state, "layer{i}.{part}.{kind}", lambda t: t, "qkv").items():
        stem, kind = name.rsplit(".", 1)
        tensors.update({f"{stem}.h{h + 1}.{kind}": t[h].clone() for h in range(HEADS)})
    return tensors, "".join(f"layer{{i}}.{p}.h{{head}}.* = blocks.{{i}}.attn.{p}.*\n" for p in "qkv")


def per_head_fused(state):
    """[3 dim][in] for each head."""
    tensors = {}
    for name, t in with_weights_and_biases(state, "layer{i}.{kind}", lambda t: t).items():
        stem, kind = name.rsplit(".", 1)
        tensors.update({f"{stem}.heads.{h}.qkv.{kind}": t[:, h].flatten(0, 1).clone()
                        for h in range(HEADS)})
    return tensors, "layer{i}.heads.{head}.qkv.* = blocks.{i}.attn.qkv.*\n"


def per_head_transposed(state):
    """A kernel [in][dim] for each head."""
    tensors, rules = per_head(state)
    tensors = {name: t.t().contiguous() if t.dim() == 2 else t for name, t in tensors.items()}
    return tensors, rules.replace(".* =", ".* [in dim] =")


def pieces_of_three(state):
    """A list of three matrices."""
    tensors = {}
    for name, t in with_weights_and_biases(state, "layer{i}.{kind}", lambda t: t.flatten(1, 2)).items():
        stem, kind = name.rsplit(".", 1)
        tensors.update({f"{stem}.to.{n}.{kind}": t[n].clone() for n in range(3)})
    return tensors, "layer{i}.to.{qkv}.* = blocks.{i}.attn.qkv.*\n"


ATTENTIONS = {
    "q, k and v": (timm_split, []),
    "fused": (fused, []),
    "fused, head first": (fused_head_first, ["--heads", str(HEADS)]),
    "fused, qkv last": (fused_qkv_last, []),
    "fused, dim first": (fused_dim_first, ["--heads", str(HEADS)]),
    "fused, transposed": (fused_transposed, []),
    "for each head": (per_head, "says"),
    "fused for each head": (per_head_fused, "says"),
    "for each head, transposed": (per_head_transposed, "says"),
    "three pieces": (pieces_of_three, []),
}


def jax_model(state):
    """Google's names and axes of AugReg, as .npz files have them."""
    block = "Transformer/encoderblock_{}/"
    inner = {"norm1": "LayerNorm_0", "norm2": "LayerNorm_2", "mlp.fc1": "MlpBlock_3/Dense_0",
             "mlp.fc2": "MlpBlock_3/Dense_1"}
    outer = {"norm": "Transformer/encoder_norm", "head": "head", "patch_embed.proj": "embedding"}
    result = {"cls": state["cls_token"],
              "Transformer/posembed_input/pos_embedding": state["pos_embed"]}
    for name, t in state.items():
        stem, kind = name.rsplit(".", 1) if "." in name else (name, "")
        parts = stem.split(".", 2)
        place = block.format(parts[1]) if parts[0] == "blocks" else ""
        own = inner.get(parts[-1]) if place else outer.get(stem)
        heads = place + "MultiHeadDotProductAttention_1/"
        word = "bias" if kind == "bias" else "scale" if t.dim() == 1 else "kernel"
        if own:
            value = t.permute(2, 3, 1, 0) if t.dim() == 4 else t.t() if t.dim() == 2 else t
            result[f"{place}{own}/{word}"] = value
        elif stem.endswith("qkv"):
            for part, value in zip(("query", "key", "value"), t.chunk(3)):
                value = value.reshape(HEADS, DIM, -1).permute(2, 0, 1) if kind == "weight" else value
                shape = (WIDTH, HEADS, DIM) if kind == "weight" else (HEADS, DIM)
                result[f"{heads}{part}/{word}"] = value.reshape(shape)
        elif stem.endswith("proj"):
            value = t.t().reshape(HEADS, DIM, WIDTH) if kind == "weight" else t
            result[f"{heads}out/{word}"] = value
    return {name: t.contiguous() for name, t in result.items()}


def lucidrains_model(state):
    """vit-pytorch's axes: flat patches (row col chan), a fused matrix without a bias."""
    result = renamed(state)
    weight = result.pop("stem.proj.weight")
    result["stem.1.weight"] = weight.permute(0, 2, 3, 1).flatten(1).contiguous()
    result["stem.1.bias"] = result.pop("stem.proj.bias")
    result["token"] = result["token"][0, 0].clone()
    result["positions"] = result["positions"][0].clone()
    tensors, rules = fused(state)
    outer = OUTER.replace("stem.proj.*  =", "stem.1.* [out (row col chan=3)] =")
    return {**result, **tensors}, outer + BLOCK + PROJ + rules


# ---- running them ----------------------------------------------------------------------------


class Bench:
    """Runs vit-convert in a folder; all sources have one name, which a .vit file keeps."""

    def __init__(self, programs, folder):
        self.programs, self.folder, self.number = programs, folder, 0

    def write(self, tensors, writer=container_io.write_safetensors):
        """The path of a checkpoint of these tensors."""
        self.number += 1
        return writer(os.path.join(self.folder, str(self.number), "model"), tensors)

    def rules(self, text):
        """The options for a file of names."""
        path = os.path.join(self.folder, "names.txt")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return ["--names", path]

    def convert(self, options, source):
        """(bytes of the .vit file or None, what was printed)."""
        target = os.path.join(self.folder, "model.vit")
        status, _, message = self.programs.run("vit-convert", *options, source, target)
        if status != 0:
            return None, message
        with open(target, "rb") as file:
            data = file.read()
        os.remove(target)
        return data, message

    def same(self, options, source, want, words=()):
        """What is wrong with a conversion; nothing where all is well."""
        got, message = self.convert(options, source)
        if got is None:
            return message.strip()
        missing = [word for word in words if word not in message]
        return f"not said: {missing}" if missing else "" if got == want else "the files differ"

    def refused(self, options, source, words):
        """What is wrong with a refusal."""
        got, message = self.convert(options, source)
        missing = [word for word in words if word not in message]
        return "it is taken" if got is not None else f"no {missing} in: {message}" if missing else ""


def names_cases(bench, state, want):
    """--names of all forms of attention."""
    for name, (make, options) in ATTENTIONS.items():
        words = ["there are 3 heads"] if options == "says" else []
        options = [] if options == "says" else options or ["--heads", str(HEADS)]
        tensors, rules = make(state)
        source = bench.write({**renamed(state), **tensors})
        options = [*options, *bench.rules(OUTER + BLOCK + PROJ + rules)]
        yield name, bench.same(options, source, want, words)
        shifted = {re.sub(r"^layer(\d+)", lambda m: f"layer{int(m[1]) + 1}", n): t
                   for n, t in {**renamed(state), **tensors}.items()}
        yield f"{name}, blocks from 1 on", bench.same(
            options, bench.write(shifted, container_io.write_zip), want, ["numbered from 1 on"])


def model_cases(bench, state, want):
    """--names of whole models of others."""
    source = bench.write(jax_model(state), container_io.write_npz_deflated)
    with open(os.path.join(os.path.dirname(__file__), "jax_names.txt"), encoding="utf-8") as file:
        text = file.read()
    yield "JAX", bench.same(bench.rules(text), source, want, ["3 heads", "norms come before"])
    yield "JAX, other heads", bench.refused([*bench.rules(text), "--heads", "4"], source,
                                            ["line 13", "an axis of 3", "head, which is 4"])
    folder = os.path.dirname(source)
    with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as file:
        file.write('{"architecture": "x", "model_args": {"num_heads": 4}}')
    yield "JAX, other heads in a config", bench.refused(
        bench.rules(text), folder, ["a config says that there are 4 heads", "say 3"])
    tensors, rules = lucidrains_model(state)
    options = ["--heads", str(HEADS)]
    yield "flat patches", bench.same([*options, *bench.rules(rules)], bench.write(tensors), want)
    windows = ("\ufeff" + rules).replace("\n", "\r\n")
    yield "a file of Windows", bench.same([*options, *bench.rules(windows)], bench.write(tensors), want)
    tensors["decoder.0.weight"] = tensors["decoder.1.bias"] = torch.zeros(2)
    yield "left out by -", bench.same(
        [*options, *bench.rules(rules + "decoder.{i}.* = -\n")], bench.write(tensors), want,
        ["decoder.0.weight and others are left out"])
    _, state = small_model(pre_logits=16, layer_scale=True)
    want, _ = bench.convert(options, bench.write(state))
    theirs = {n.replace("pre_logits.fc", "hidden").replace(".ls", ".scale"): t
              for n, t in state.items()}
    mine = ("hidden.* = pre_logits.fc.*\nblocks.{i}.scale1.gamma = blocks.{i}.ls1.gamma\n"
            "blocks.{i}.scale2.gamma = blocks.{i}.ls2.gamma\n")
    yield "pre_logits and LayerScale", bench.same([*options, *bench.rules(mine)], bench.write(theirs),
                                                  want)
    yield "not left out", bench.refused([*options, *bench.rules(rules)], bench.write(tensors),
                                        ["decoder.0.weight is not a tensor"])


def prefix_cases(bench, state, want):
    """Prefixes of all names, and tensors that do not have them."""
    options = ["--heads", str(HEADS)]
    for prefix in ("module.", "_orig_mod.", "model.", "backbone.", "base_model.model.",
                   "module._orig_mod.model.", "net/vit/"):
        source = bench.write({prefix + name: t for name, t in state.items()})
        yield f"prefix {prefix}", bench.same(options, source, want, [f"prefix '{prefix}' of all names"])
    wrapped = {f"model.{name}": t for name, t in state.items()}
    harmless = {"n_averaged": torch.tensor(3), "criterion.weight": torch.ones(5)}
    yield "prefix, other tensors", bench.same(
        options, bench.write({**wrapped, **harmless}), want,
        ["'model.' is dropped; 2 of", "n_averaged is left out", "criterion.weight is left out"])
    yield "prefix, an unknown tensor", bench.refused(
        options, bench.write({**wrapped, "other.weight": torch.ones(5)}), ["other.weight"])
    outside = {name if name.startswith("head.") else f"backbone.{name}": t for name, t in state.items()}
    yield "prefix of all but the head", bench.same(options, bench.write(outside), want,
                                                   ["'backbone.' is dropped; 2 of", "head.bias"])
    twice = {**wrapped, "cls_token": state["cls_token"]}
    yield "prefix, a name twice", bench.refused(options, bench.write(twice), ["cls_token", "twice"])
    both = {f"{who}.{name}": t + (who == "student") for name, t in state.items()
            for who in ("student", "teacher")}
    source = bench.write(both)
    yield "two models", bench.refused(options, source, ["student.", "teacher.", "--prefix"])
    yield "--prefix", bench.same([*options, "--prefix", "teacher."], source, want, ["left out"])
    yield "--prefix of none", bench.refused([*options, "--prefix", "x."], source, ["no name", "x."])


def family_cases(bench, config, state):
    """Prefixes of Hugging Face's and torchvision's names; timm's register tokens without one."""
    options = ["--heads", str(HEADS), "--size", "12"]
    for family, tensors in (("torchvision", checkpoints.torchvision_names(state)),
                            ("ViT", checkpoints.hf_vit(config, state, "abcde").tensors),
                            ("ViT alone", checkpoints.hf_names(state, "", {"head": "classifier"}))):
        want, message = bench.convert(options, bench.write(tensors))
        source = bench.write({f"module.{name}": t for name, t in tensors.items()})
        yield f"prefix, {family}", message if want is None else bench.same(
            options, source, want, ["prefix 'module.' of all"])
    want, _ = bench.convert(options, bench.write(state))
    for reg in (torch.zeros(1, 0, WIDTH), torch.zeros(0)):
        source = bench.write({**state, "reg_token": reg})
        yield f"empty reg_token {list(reg.shape)}", bench.same(options, source, want, ["it is empty"])
    no_class, none = small_model(class_token=False, pool="avg", fc_norm=True)
    want, message = bench.convert(options, bench.write(none))
    yield "no token in front", message if want is None else bench.same(
        options, bench.write({**none, "reg_token": torch.zeros(1, 0, no_class.embed_dim)}), want)


def refusal_cases(bench, state):
    """Files of names that cannot be used."""
    source = bench.write({**renamed(state), **fused(state)[0]})
    good = OUTER.strip() + "\n"
    line = good.count("\n") + 1
    lines = {
        "no =": ("layer{i}.a.weight", "no ="),
        "nothing on the left": ("= norm.weight", "missing beside ="),
        "nothing on the right": ("layer{i}.a.weight =", "missing beside ="),
        "?": ("layer{i}.a.weight = ?", ["?", "filled in"]),
        "not timm's": ("layer{i}.a.weight = blocks.{i}.norm3.weight", "blocks.{i}.norm3.weight"),
        "no ending": ("layer{i}.a.weight = blocks.{i}.norm1", "one of timm's"),
        "an ending too many": ("token = cls_token.weight", "one of timm's"),
        "{i} on the left": ("layer{i}.a.weight = norm.weight", "{i}"),
        "{i} on the right": ("layer0.a.weight = blocks.{i}.norm1.weight", "{i}"),
        "* on the left": ("layer{i}.a.* = blocks.{i}.norm1.weight", "*"),
        "* in the middle": ("layer{i}.*.weight = blocks.{i}.norm1.weight", "*"),
        "{j}": ("layer{i}.{j}.weight = blocks.{i}.norm1.weight", "{j}"),
        "{": ("layer{i.a.weight = blocks.{i}.norm1.weight", "without }"),
        "no such tensor": ("layer{i}.z.weight = blocks.{i}.norm1.weight",
                           ["no tensor", "layer{i}.z.weight", "--list"]),
        "two lines for one": ("logits.weight = head.weight", ["lines", "both take logits.weight"]),
        "an unknown axis": ("layer{i}.up.weight [out inn] = blocks.{i}.mlp.fc1.weight", "'inn'"),
        "an axis is missing": ("layer{i}.up.weight [out] = blocks.{i}.mlp.fc1.weight", "'in'"),
        "[": ("layer{i}.up.weight [out in = blocks.{i}.mlp.fc1.weight", "without ]"),
        "(": ("layer{i}.up.weight [(out in] = blocks.{i}.mlp.fc1.weight", "("),
        ")": ("layer{i}.up.weight [out in)] = blocks.{i}.mlp.fc1.weight", ")"),
        "a length of 0": ("layer{i}.up.weight [out in=0] = blocks.{i}.mlp.fc1.weight", "length"),
        "another length": ("layer{i}.up.weight [out=7 in] = blocks.{i}.mlp.fc1.weight", "out"),
        "too many axes": ("layer{i}.up.bias [out in] = blocks.{i}.mlp.fc1.bias", "'in'"),
        "other axes": ("layer{i}.qkv.weight [in qkv head dim] = blocks.{i}.attn.qkv.weight",
                       ["has 2 axes, not 4"]),
        "heads not known": ("layer{i}.qkv.* [(head qkv dim) in] = blocks.{i}.attn.qkv.*",
                            ["--heads"]),
        "pieces of another axis": ("layer{head}.a.weight = norm.weight", "'head'"),
    }
    for name, (text, words) in lines.items():
        words = [words] if isinstance(words, str) else words
        where = [] if name == "two lines for one" else [f"names.txt: line {line}:"]
        yield f"refused: {name}", bench.refused(bench.rules(good + text + "\n"), source,
                                                [*where, *words])
    yield "refused: nothing", bench.refused(bench.rules("# nothing\n\n"), source, ["no line"])
    yield "refused: no file", bench.refused(["--names", "/nowhere/names"], source, ["/nowhere/names"])
    rest = "layer{i}.qkv.* = blocks.{i}.attn.qkv.*\n"
    swapped = BLOCK.replace("fc1", "fcx").replace("fc2", "fc1").replace("fcx", "fc2")
    yield "refused: fc1 and fc2 exchanged", bench.refused(
        [*bench.rules(OUTER + swapped + PROJ + rest), "--heads", "3"], source,
        ["blocks.0.mlp.fc", "in the file: layer0."])
    tensors, rules = per_head(state)
    del tensors["layer1.k.h2.weight"]
    yield "refused: a head is missing", bench.refused(
        bench.rules(OUTER + BLOCK + PROJ + rules), bench.write({**renamed(state), **tensors}),
        ["{head}", "gap", "blocks.1.attn.k.weight"])


# ---- --list ----------------------------------------------------------------------------------


def filled(text, answers):
    """A sketch with its question marks replaced, by what is on the left."""
    lines = []
    for line in text.splitlines():
        left = line.split("#")[0].split("=")[0].strip()
        name = left.split(" [")[0]
        if "= ?" in line and name in answers:
            line = line.replace("= ?", f"= {answers[name]}")
        lines.append(line)
    return "\n".join(lines) + "\n"


JAX_ANSWERS = {
    f"Transformer/encoderblock_{{i}}/{theirs}": f"blocks.{{i}}.{ours}"
    for theirs, ours in {
        **{f"LayerNorm_{n}/{kind}": f"norm{1 + n // 2}.{'bias' if kind == 'bias' else 'weight'}"
           for n in (0, 2) for kind in ("scale", "bias")},
        **{f"MultiHeadDotProductAttention_1/{part}/{kind}":
           f"attn.{part[0]}.{'bias' if kind == 'bias' else 'weight'}"
           for part in ("query", "key", "value") for kind in ("kernel", "bias")},
    }.items()
}


def sketch_cases(bench, state, want):
    """The beginning of a file of names, with the rest filled in."""
    heads = ["--heads", str(HEADS)]
    torch_answers = {"layer{i}.a.*": "blocks.{i}.norm1.*", "layer{i}.b.*": "blocks.{i}.norm2.*"}
    split = {f"layer{{i}}.{p}.*": f"blocks.{{i}}.attn.{p}.*" for p in "qkv"}
    per = {f"layer{{i}}.{p}.h{{head}}.*": f"blocks.{{i}}.attn.{p}.*" for p in "qkv"}
    models = {
        "JAX": ({name.replace("encoder_norm", "last_norm"): tensor
                 for name, tensor in jax_model(state).items()}, JAX_ANSWERS, []),
        "fused": ({**renamed(state), **fused(state)[0]}, torch_answers, heads),
        "q, k and v": ({**renamed(state), **timm_split(state)[0]},
                       {**torch_answers, **split, "layer{i}.out.*": "blocks.{i}.attn.proj.*"}, heads),
        "for each head": ({**renamed(state), **per_head(state)[0]},
                          {**torch_answers, **per, "layer{i}.out.*": "blocks.{i}.attn.proj.*"}, []),
    }
    for name, (tensors, answers, options) in models.items():
        source = bench.write(tensors)
        status, text, message = bench.programs.run("vit-convert", "--list", source)
        sketch = text[text.index("# ?"):] if "# ?" in text else ""
        problem = message if status or not sketch else ""
        yield f"sketch: {name}", problem or bench.same(
            [*options, *bench.rules(filled(sketch, answers))], source, want)
        yield f"sketch not filled in: {name}", bench.refused(
            bench.rules(sketch), source, ["line", "filled in"])


def list_cases(bench, config, state):
    """What --list says of models that are known."""
    shown = r"blocks\.0\.attn\.qkv\.weight +F32 +\[72, 24\]"
    nested = lambda folder, tensors: container_io.save(
        folder, "model.pth", {"epoch": 3, "state_dict": collections.OrderedDict(tensors)})
    prefixed = {f"module.{name}": t for name, t in state.items()}
    models = {
        "timm": (bench.write(state), ["those of timm, as there is patch_embed.proj.weight", shown,
                                      "embed_dim 24, depth 3, mlp_dim 40, 5 classes", "--heads"]),
        "a prefix": (bench.write(prefixed), [r"module\." + shown, "those of timm"]),
        "a key": (bench.write(state, nested), ["those of the key 'state_dict'", shown]),
        "torchvision": (bench.write(checkpoints.torchvision_names(state)),
                        ["those of torchvision, as there is conv_proj.weight"]),
        "ViT": (bench.write(checkpoints.hf_vit(config, state, "abcde").tensors),
                ["those of Hugging Face ViT, as there is vit.embeddings"]),
        "SigLIP": (bench.write({"attn_pool.latent": torch.ones(2)}),
                   ["attention pooling", "not supported"]),
        "half": (bench.write({name: t.half() for name, t in state.items()}), [r"F16 +\[72, 24\]"]),
        "another model": (bench.write({"fc.weight": torch.ones(2, 3)}),
                          ["not those of timm", "patch_embed.proj.weight", r"fc\.weight = \?"]),
        "control characters": (bench.write({"a\n\x1b[1m.weight": torch.ones(2, 3)}), [r"a\?\?\[1m"]),
    }
    for name, (source, patterns) in models.items():
        status, text, message = bench.programs.run("vit-convert", "--list", source)
        missing = [p for p in patterns if not re.search(p, text)]
        yield f"list: {name}", message if status else f"no {missing} in: {text}" if missing else ""
    tensors = {**renamed(state), **fused(state)[0]}
    options = bench.rules(OUTER + BLOCK + PROJ + fused(state)[1])
    _, text, _ = bench.programs.run("vit-convert", "--list", *options, bench.write(tensors))
    yield "list: with --names", "" if re.search(shown + r" +layer0\.qkv\.weight", text) else text


def all_cases(bench):
    """(name, problem) of all cases."""
    config, state = small_model()
    want, message = bench.convert(["--heads", str(HEADS)], bench.write(state))
    yield "timm's names", "" if want else message
    yield from names_cases(bench, state, want)
    yield from model_cases(bench, state, want)
    yield from prefix_cases(bench, state, want)
    yield from family_cases(bench, config, state)
    yield from refusal_cases(bench, state)
    yield from sketch_cases(bench, state, want)
    yield from list_cases(bench, config, state)


def main():
    """Run the cases and print the count."""
    torch.set_grad_enabled(False)
    torch.set_num_threads(2)
    part, counts = sys.argv[2] if len(sys.argv) > 2 else "", [0, 0]
    with tempfile.TemporaryDirectory() as folder:
        for name, problem in all_cases(Bench(Programs(sys.argv[1]), folder)):
            if part not in name:
                continue
            counts[bool(problem)] += 1
            print(f"{name:50} {'FAIL ' + problem if problem else 'ok'}", flush=True)
    print(f"{counts[0]} passed, {counts[1]} failed")
    return counts[1] > 0


if __name__ == "__main__":
    sys.exit(main())
