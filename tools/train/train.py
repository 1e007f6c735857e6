#!/usr/bin/env python3
"""Train a small Vision Transformer on a CPU, from scratch or on from a checkpoint.

    apt install python3-torch python3-numpy python3-pil libopenblas0-openmp dataset-fashion-mnist
    /usr/bin/python3 tools/train/train.py --out vit_fashion_mnist
    /usr/bin/python3 tools/train/train.py --data MY_PICTURES --img-size 64 --patch-size 8 --out mine

The data are Fashion-MNIST, a folder with a folder of pictures for each class, or IDX files
(pictures.py). After every epoch it writes into the folder --out, which vit-convert takes as it is:

    model.safetensors   the weights, float32, under timm's names: the moving average of those trained
    config.json         the model, its preprocessing and labels
    metrics.csv         loss and accuracy of each epoch, and curves.svg, their plot
    report.md           accuracy by class and the confusion matrix
    state.pt            from which the same command line goes on after an interruption

Hints: --bf16 halves the time where the processor multiplies bfloat16 (AVX512_BF16, AMX). With two
threads or more PyTorch's OpenMP pool and the pthread build of OpenBLAS spin against each other;
libopenblas0-openmp, the build above, does not.
"""

import argparse
import csv
import io
import os
import time
from pathlib import Path

# Threads that wait must sleep, not spin: on a machine that has other work to do, a
# spinning thread holds up the one that it waits for. Read when PyTorch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import torch
from torch import nn
from torch.nn import functional as F

import confusion
import curves
import pictures
from checkpoint import (load_state, load_weights, save_checkpoint, save_state, save_text,
                        timm_config)
from model import VisionTransformer
from optimiser import Average, Optimiser, cosine

HOW_TO_RUN = ("out", "threads", "nice")  # what may differ when a run goes on


# ---- an epoch ----

def augmented(split, mean, std, num_classes, args):
    """Pictures (n, C, H, W) as the model reads them, and the shares of their classes (n, classes)."""
    x = pictures.shift_and_flip(split.images, args.shift, not args.no_flip)
    x = pictures.normalise(x, mean, std)
    if args.erase > 0:
        x = pictures.erase(x, args.erase)
    targets = F.one_hot(split.classes, num_classes).float()
    return pictures.mix(x, targets, args.mixup, args.cutmix)


def train_step(model, optimiser, x, targets, args):
    """Returns the loss."""
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=args.bf16):
        logits = model(x)
    loss = F.cross_entropy(logits.float(), targets, label_smoothing=args.label_smoothing)
    optimiser.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimiser.step()
    return loss.item()


def train_epoch(model, average, optimiser, data, args):
    """One pass over the training pictures; returns the mean loss."""
    train, mean, std, num_classes = data
    order = torch.randperm(len(train.classes))
    steps = len(order) // args.batch  # the odd rest of an epoch is dropped
    total = 0.0
    for i in range(steps):
        batch = train.pick(order[i * args.batch:(i + 1) * args.batch])
        x, targets = augmented(batch, mean, std, num_classes, args)
        total += train_step(model, optimiser, x, targets, args)
        average.update(model)
    return total / steps


@torch.no_grad()
def evaluate(model, test, mean, std, args):
    """Mean loss, and the class found for each picture."""
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=args.bf16):
        logits = torch.cat([model(pictures.normalise(images, mean, std))
                            for images in test.images.split(args.batch)]).float()
    return F.cross_entropy(logits, test.classes).item(), logits.argmax(1)


# ---- what is written ----

def metrics_csv(history):
    text = io.StringIO()
    writer = csv.DictWriter(text, list(history[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: round(value, 5) for key, value in row.items()} for row in history)
    return text.getvalue()


def progress(row, history, epochs):
    """The line of an epoch, with the time left as the epochs so far tell."""
    left = sum(r["seconds"] for r in history) / len(history) * (epochs - len(history))
    return (f"epoch {row['epoch']}/{epochs}  loss {row['train_loss']:.4f}  "
            f"test loss {row['test_loss']:.4f}  accuracy {row['test_accuracy']:.2%}  "
            f"{row['seconds']:.0f} s  {left / 60:.0f} min left")


# ---- the run ----

def parse_args():
    p = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0],
                                formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    p.add_argument("--data", default=pictures.FASHION_MNIST, help="folder of classes, or IDX files")
    p.add_argument("--out", default="vit_fashion_mnist", help="folder to write")
    p.add_argument("--start", default="", help="checkpoint folder to start from, not from scratch")
    p.add_argument("--name", default="", help="of the model, in config.json; made up if empty")
    p.add_argument("--grey", action="store_true", help="read pictures of folders as grey")
    p.add_argument("--hold-out", action="store_true",
                   help="test on a tenth of the pictures to train on, not on the test set: for "
                        "choosing settings")

    p.add_argument("--img-size", type=int, default=28)
    p.add_argument("--patch-size", type=int, default=4)
    p.add_argument("--embed-dim", type=int, default=64)
    p.add_argument("--depth", type=int, default=6)
    p.add_argument("--num-heads", type=int, default=4)
    p.add_argument("--mlp-ratio", type=float, default=4.0)
    p.add_argument("--pool", choices=["token", "avg"], default="token")

    p.add_argument("--shift", type=int, default=2, help="pixels, each way")
    p.add_argument("--no-flip", action="store_true", help="no mirrored pictures")
    p.add_argument("--erase", type=float, default=0.0, help="share of pictures with a box erased")
    p.add_argument("--mixup", type=float, default=0.0, help="alpha; 0: none")
    p.add_argument("--cutmix", type=float, default=0.0, help="alpha; 0: none")
    p.add_argument("--label-smoothing", type=float, default=0.1)

    p.add_argument("--epochs", type=int, default=24)
    p.add_argument("--batch", type=int, default=128)
    p.add_argument("--warmup", type=float, default=2, help="epochs")
    p.add_argument("--lr", type=float, default=1.5e-3, help="of AdamW")
    p.add_argument("--weight-decay", type=float, default=0.05, help="of AdamW")
    p.add_argument("--muon-lr", type=float, default=0.0,
                   help="Muon for the blocks' matrices, 0.02 for a start; 0: AdamW for all")
    p.add_argument("--muon-weight-decay", type=float, default=0.01)
    p.add_argument("--ema-decay", type=float, default=0.998)
    p.add_argument("--seed", type=int, default=0)

    p.add_argument("--bf16", action="store_true", help="multiply in bfloat16")
    p.add_argument("--threads", type=int, default=os.cpu_count())
    p.add_argument("--nice", type=int, default=10, help="how much to lower the priority")
    args = p.parse_args()
    if args.embed_dim % args.num_heads != 0:
        p.error("--embed-dim is not a multiple of --num-heads")
    return args


def model_args(args, in_chans):
    """The model's shape under timm's names."""
    return {"img_size": args.img_size, "patch_size": args.patch_size, "in_chans": in_chans,
            "embed_dim": args.embed_dim, "depth": args.depth, "num_heads": args.num_heads,
            "mlp_ratio": args.mlp_ratio, "global_pool": args.pool}


def default_name(args):
    """As timm's names are made."""
    data = Path(args.data).resolve().name.replace("-", "_")
    return f"vit_{data}_patch{args.patch_size}_{args.img_size}"


def prepare(args):
    os.nice(args.nice)
    torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)
    torch.manual_seed(args.seed)


def main():
    args = parse_args()
    prepare(args)
    out, state = Path(args.out), Path(args.out) / "state.pt"
    train, test, labels = pictures.load(args.data, args.img_size, args.grey)
    if args.hold_out:
        train, test = pictures.hold_out(train)
    mean, std = pictures.channel_statistics(train.images)
    shape = model_args(args, train.images.shape[1])
    config = timm_config(args.name or default_name(args), shape, mean, std, labels)

    model = VisionTransformer(**shape, num_classes=len(labels))
    if args.start:
        load_weights(model, Path(args.start))
    steps = len(train.classes) // args.batch
    if steps == 0:
        raise SystemExit(f"{len(train.classes)} pictures are less than a batch (--batch)")
    parts = {"model": model, "average": Average(model, args.ema_decay),
             "optimiser": Optimiser(model, args, cosine(args.warmup * steps, args.epochs * steps))}
    settings = {key: value for key, value in vars(args).items() if key not in HOW_TO_RUN}
    history = load_state(state, settings, parts) if state.exists() else []
    out.mkdir(parents=True, exist_ok=True)
    print(f"{len(train.classes)} pictures to train on, {len(test.classes)} to test on, "
          f"{len(labels)} classes; {sum(p.numel() for p in model.parameters())} parameters; "
          f"{args.epochs} epochs of {steps} steps, {len(history)} done", flush=True)

    while len(history) < args.epochs:
        start = time.time()
        loss = train_epoch(**parts, data=(train, mean, std, len(labels)), args=args)
        average = parts["average"].model
        test_loss, found = evaluate(average, test, mean, std, args)
        history.append({"epoch": len(history) + 1, "train_loss": loss, "test_loss": test_loss,
                        "test_accuracy": (found == test.classes).float().mean().item(),
                        "seconds": time.time() - start})
        save_checkpoint(out, average, config)
        save_state(state, settings, history, parts)
        save_text(out / "metrics.csv", metrics_csv(history))
        save_text(out / "curves.svg", curves.svg(history))
        save_text(out / "report.md", confusion.markdown(test.classes.tolist(), found.tolist(), labels))
        print(progress(history[-1], history, args.epochs), flush=True)


if __name__ == "__main__":
    main()
