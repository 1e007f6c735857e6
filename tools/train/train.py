#!/usr/bin/env python3
"""Train a small Vision Transformer on Fashion-MNIST, on a CPU.

    apt install python3-torch python3-numpy dataset-fashion-mnist libopenblas0-openmp
    /usr/bin/python3 tools/train/train.py --out vit_fashion_mnist

It writes, after every epoch, a checkpoint folder in timm's form:

    OUT/model.safetensors   the weights, float32, under timm's names
    OUT/config.json         the architecture and its preprocessing

and OUT.state, from which the same command line goes on after an interruption; remove
it to train afresh. The weights written are an exponential moving average (EMA) of the
trained ones.

With two threads or more PyTorch's OpenMP pool and the pthread build of OpenBLAS
spin against each other; libopenblas0-openmp, the build above, does not.
"""

import argparse
import copy
import gzip
import json
import math
import os
import struct
import time
from pathlib import Path

# Threads that wait must sleep, not spin: on a machine that has other work to do, a
# spinning thread holds up the one that it waits for. Read when PyTorch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

DATA = "/usr/share/datasets/fashion-mnist"  # where Debian's dataset-fashion-mnist puts it
MEAN, STD = 0.286, 0.353                    # of pixel / 255, over the training set
LABELS = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
          "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]
MODEL_ARGS = {"img_size": 28, "patch_size": 4, "in_chans": 1,
              "embed_dim": 64, "depth": 6, "num_heads": 4, "mlp_ratio": 4.0}
MAX_SHIFT = 2                               # pixels, each way


# --- data -----------------------------------------------------------------------------

def read_idx(path):
    """Read a gzipped IDX file of unsigned bytes into an array."""
    with gzip.open(path, "rb") as f:
        data = f.read()
    zero, kind, ndim = struct.unpack(">HBB", data[:4])
    if zero != 0 or kind != 8:
        raise ValueError(f"{path}: not an IDX file of unsigned bytes")
    shape = struct.unpack(f">{ndim}I", data[4:4 + 4 * ndim])
    return np.frombuffer(data, np.uint8, offset=4 + 4 * ndim).reshape(shape)


def load_split(folder, split):
    """Images [n,28,28] and labels [n], both uint8; split is "train" or "t10k"."""
    folder = Path(folder)
    return (read_idx(folder / f"{split}-images-idx3-ubyte.gz"),
            read_idx(folder / f"{split}-labels-idx1-ubyte.gz"))


def normalize(images):
    """uint8 array [n,28,28] to a normalised float32 tensor [n,1,28,28]."""
    x = torch.from_numpy(images.astype(np.float32)).unsqueeze(1)
    return x.div_(255).sub_(MEAN).div_(STD)


def augment(x):
    """Flip each image at random and shift it by up to MAX_SHIFT pixels."""
    n, _, h, w = x.shape
    padded = F.pad(x, [MAX_SHIFT] * 4, value=-MEAN / STD)  # black, once normalised
    rows = torch.arange(h) + torch.randint(2 * MAX_SHIFT + 1, (n, 1))
    cols = torch.arange(w).repeat(n, 1)
    flip = torch.rand(n) < 0.5
    cols[flip] = w - 1 - cols[flip]
    cols = cols + torch.randint(2 * MAX_SHIFT + 1, (n, 1))
    picked = padded[torch.arange(n)[:, None, None], 0, rows[:, :, None], cols[:, None, :]]
    return picked.unsqueeze(1)


# --- model ----------------------------------------------------------------------------

class PatchEmbed(nn.Module):
    def __init__(self, patch_size, in_chans, embed_dim):
        super().__init__()
        self.proj = nn.Conv2d(in_chans, embed_dim, patch_size, patch_size)

    def forward(self, x):
        return self.proj(x).flatten(2).transpose(1, 2)  # [B,C,H,W] -> [B,N,D]


class Attention(nn.Module):
    def __init__(self, dim, num_heads):
        super().__init__()
        self.num_heads = num_heads
        self.scale = (dim // num_heads) ** -0.5
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x):
        b, n, d = x.shape
        qkv = self.qkv(x).view(b, n, 3, self.num_heads, d // self.num_heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        attn = (q * self.scale @ k.transpose(-2, -1)).softmax(-1)
        return self.proj((attn @ v).transpose(1, 2).reshape(b, n, d))


class Mlp(nn.Module):
    def __init__(self, dim, hidden_dim):
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden_dim)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(hidden_dim, dim)

    def forward(self, x):
        return self.fc2(self.act(self.fc1(x)))


class Block(nn.Module):
    def __init__(self, dim, num_heads, mlp_ratio):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = Attention(dim, num_heads)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = Mlp(dim, int(dim * mlp_ratio))

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class VisionTransformer(nn.Module):
    """A pre-norm ViT with a class token, its parameters named as timm names them."""

    def __init__(self, img_size, patch_size, in_chans, embed_dim, depth, num_heads,
                 mlp_ratio, num_classes):
        super().__init__()
        num_patches = (img_size // patch_size) ** 2
        self.cls_token = nn.Parameter(torch.zeros(1, 1, embed_dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, num_patches + 1, embed_dim))
        self.patch_embed = PatchEmbed(patch_size, in_chans, embed_dim)
        self.blocks = nn.Sequential(*[Block(embed_dim, num_heads, mlp_ratio)
                                      for _ in range(depth)])
        self.norm = nn.LayerNorm(embed_dim, eps=1e-6)
        self.head = nn.Linear(embed_dim, num_classes)
        self.init_weights()

    def init_weights(self):
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        nn.init.normal_(self.cls_token, std=1e-6)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)

    def forward(self, x):
        x = self.patch_embed(x)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], 1) + self.pos_embed
        x = self.norm(self.blocks(x))
        return self.head(x[:, 0])


# --- training -------------------------------------------------------------------------

def make_optimizer(model, lr, weight_decay):
    """AdamW; biases, norms and the two embeddings are not decayed."""
    decay, no_decay = [], []
    for name, p in model.named_parameters():
        plain = p.ndim < 2 or name in ("cls_token", "pos_embed")
        (no_decay if plain else decay).append(p)
    groups = [{"params": decay, "weight_decay": weight_decay},
              {"params": no_decay, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.98))


def lr_factor(step, warmup_steps, total_steps):
    """Linear warm-up, then a half cosine that ends at zero with the run."""
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    done = (step - warmup_steps) / max(1, total_steps - warmup_steps)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


@torch.no_grad()
def update_ema(ema, model, step, decay):
    decay = min(decay, (1 + step) / (10 + step))  # short memory at the start
    for e, p in zip(ema.parameters(), model.parameters()):
        e.lerp_(p, 1 - decay)


def train_epoch(model, ema, optimizer, schedule, images, labels, args):
    """One pass over the training set; returns the mean loss."""
    model.train()
    order = torch.randperm(len(images))
    steps = len(images) // args.batch  # the odd rest of an epoch is dropped
    total = 0.0
    for i in range(steps):
        idx = order[i * args.batch:(i + 1) * args.batch]
        logits = model(augment(images[idx]))
        loss = F.cross_entropy(logits, labels[idx], label_smoothing=args.label_smoothing)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        update_ema(ema, model, schedule.last_epoch, args.ema_decay)
        total += loss.item()
    return total / steps


@torch.no_grad()
def accuracy(model, images, labels, batch=500):
    model.eval()
    right = sum((model(x).argmax(1) == y).sum().item()
                for x, y in zip(images.split(batch), labels.split(batch)))
    return right / len(labels)


# --- state and checkpoint -------------------------------------------------------------

def replace_file(path, write):
    """Let write(name) make the file under a temporary name, then rename it."""
    temporary = f"{path}.tmp"
    write(temporary)
    os.replace(temporary, path)


def save_state(path, epoch, model, ema, optimizer, schedule):
    state = {"epoch": epoch, "model": model.state_dict(), "ema": ema.state_dict(),
             "optimizer": optimizer.state_dict(), "schedule": schedule.state_dict(),
             "rng": torch.get_rng_state()}
    replace_file(path, lambda name: torch.save(state, name))


def load_state(path, model, ema, optimizer, schedule):
    """Restore what save_state saved; returns the number of epochs done."""
    state = torch.load(path)
    model.load_state_dict(state["model"])
    ema.load_state_dict(state["ema"])
    optimizer.load_state_dict(state["optimizer"])
    schedule.load_state_dict(state["schedule"])
    torch.set_rng_state(state["rng"])
    return state["epoch"]


def save_safetensors(path, state_dict):
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
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def save_config(path):
    config = {
        "architecture": "vit_fashion_mnist_patch4_28",
        "num_classes": len(LABELS),
        "num_features": MODEL_ARGS["embed_dim"],
        "global_pool": "token",
        "model_args": MODEL_ARGS,
        "pretrained_cfg": {
            "input_size": [1, 28, 28], "interpolation": "bilinear",
            "crop_pct": 1.0, "crop_mode": "center", "mean": [MEAN], "std": [STD],
            "num_classes": len(LABELS), "first_conv": "patch_embed.proj",
            "classifier": "head", "label_names": LABELS,
        },
    }
    with open(path, "w") as f:
        json.dump(config, f, indent=2)
        f.write("\n")


def save_checkpoint(folder, model):
    folder.mkdir(parents=True, exist_ok=True)
    replace_file(folder / "model.safetensors",
                 lambda name: save_safetensors(name, model.state_dict()))
    replace_file(folder / "config.json", save_config)


# --- the run --------------------------------------------------------------------------

def parse_args():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--data", default=DATA, help="folder of the four IDX files")
    p.add_argument("--out", default="vit_fashion_mnist", help="checkpoint folder to write")
    p.add_argument("--state", help="file to resume from (default: OUT.state)")
    p.add_argument("--epochs", type=int, default=24)
    p.add_argument("--batch", type=int, default=128)
    p.add_argument("--lr", type=float, default=1.5e-3)
    p.add_argument("--weight-decay", type=float, default=0.05)
    p.add_argument("--warmup", type=float, default=2, help="epochs")
    p.add_argument("--label-smoothing", type=float, default=0.1)
    p.add_argument("--ema-decay", type=float, default=0.998)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--threads", type=int, default=2)
    return p.parse_args()


def main():
    args = parse_args()
    out = Path(args.out)
    state = Path(args.state or f"{out}.state")
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)

    images, labels = load_split(args.data, "train")
    test_images, test_labels = load_split(args.data, "t10k")
    images, test_images = normalize(images), normalize(test_images)
    labels = torch.from_numpy(labels.astype(np.int64))
    test_labels = torch.from_numpy(test_labels.astype(np.int64))

    model = VisionTransformer(**MODEL_ARGS, num_classes=len(LABELS))
    ema = copy.deepcopy(model).requires_grad_(False)
    optimizer = make_optimizer(model, args.lr, args.weight_decay)
    steps = len(images) // args.batch
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: lr_factor(step, args.warmup * steps, args.epochs * steps))
    print(f"{sum(p.numel() for p in model.parameters())} parameters, "
          f"{args.epochs} epochs of {steps} steps of {args.batch} images", flush=True)

    first = load_state(state, model, ema, optimizer, schedule) if state.exists() else 0
    if first:
        print(f"resumed after epoch {first}", flush=True)
    start = time.time()
    for epoch in range(first, args.epochs):
        epoch_start = time.time()
        loss = train_epoch(model, ema, optimizer, schedule, images, labels, args)
        acc = accuracy(model, test_images, test_labels)
        ema_acc = accuracy(ema, test_images, test_labels)
        save_checkpoint(out, ema)
        save_state(state, epoch + 1, model, ema, optimizer, schedule)
        now = time.time()
        left = (now - start) / (epoch + 1 - first) * (args.epochs - epoch - 1)
        print(f"epoch {epoch + 1}/{args.epochs}  loss {loss:.4f}  "
              f"test {100 * acc:.2f} %  EMA {100 * ema_acc:.2f} %  "
              f"{now - epoch_start:.0f} s  {left / 60:.0f} min left", flush=True)


if __name__ == "__main__":
    main()
