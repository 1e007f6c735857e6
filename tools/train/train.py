#!/usr/bin/env python3
"""Train a small Vision Transformer on a CPU, from scratch or on from a checkpoint.

    apt install python3-torch python3-numpy python3-pil libopenblas0-openmp dataset-fashion-mnist
    /usr/bin/python3 tools/train/train.py --out vit_fashion_mnist
    /usr/bin/python3 tools/train/train.py --data MY_PICTURES --img-size 64 --patch-size 8 --out mine

The data are Fashion-MNIST, a folder with a folder of pictures for each class, or IDX files
(pictures.py). It writes into the folder --out, which vit-convert takes as it is, whenever it has
tested, every --test-every epochs and at the end:

    model.safetensors   the weights, float32, under timm's names: the moving average of those trained
    config.json         the model, its preprocessing and labels
    metrics.csv         loss and accuracy of each test, and curves.svg, their plot
    report.md           accuracy by class and the confusion matrix
    state.pt            from which the same command line goes on after an interruption

state.pt is written every --save-minutes too, and when the run is told to end (SIGTERM, Ctrl-C); the
run goes on from the step where it was, to the same weights. --epochs and --cooldown may be others
then, and what is made of the pictures: with a cool-down the learning rate is constant until that
begins, so a run can go on for as long as there is time.

What makes the most of little time: --keep 0.5 looks at half of the patches and takes half as long,
--muon-lr 0.02, --structured and a teacher's answers (teacher.py) need fewer epochs, and --bf16 halves
the time where the processor multiplies bfloat16 (AVX512_BF16, AMX). With two threads or more
PyTorch's OpenMP pool and the pthread build of OpenBLAS spin against each other; libopenblas0-openmp,
the build above, does not.
"""

import argparse
import csv
import io
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
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
from initial import structured
from model import VisionTransformer
from optimiser import Average, Optimiser, schedule
from teacher import load_taught

# what may differ when a run goes on; of the second kind is told what is another
HOW_TO_RUN = ("out", "threads", "nice", "test_every", "save_minutes")
MAY_CHANGE = ("epochs", "cooldown", "shift", "no_flip", "erase", "mixup", "cutmix", "keep", "whole",
              "label_smoothing", "teacher", "teacher_share", "teacher_features")
STRUCTURE_PICTURES = 1000  # that --structured looks at


# ---- a step ----

@dataclass
class Data:
    """mean and std: of each channel."""

    train: pictures.Split
    test: pictures.Split
    labels: list
    mean: list
    std: list
    taught_features: int = 0  # how many there are of a picture

    def normalised(self, images):
        return pictures.normalise(images, self.mean, self.std)


class Run:
    """What is trained, and how far it is. guide tells the teacher's features from the model's."""

    def __init__(self, args, data, shape):
        self.args, self.data = args, data
        self.steps_per_epoch = len(data.train.classes) // args.batch  # its odd rest is dropped
        self.model = VisionTransformer(**shape, num_classes=len(data.labels))
        if args.start:
            load_weights(self.model, Path(args.start))
        if args.structured:
            structured(self.model, data.normalised(data.train.images[:STRUCTURE_PICTURES]))
        self.guide = nn.Linear(args.embed_dim, data.taught_features)
        self.average = Average(self.model, args.ema_decay)
        factor = schedule(*(int(n * self.steps_per_epoch)
                            for n in (args.warmup, args.epochs, args.cooldown)))
        self.optimiser = Optimiser([self.model, self.guide], args, factor)
        self.parameters = [*self.model.parameters(), *self.guide.parameters()]
        self.workers = ThreadPoolExecutor(args.threads, "part", torch.set_num_threads, (1,))
        self.step, self.loss, self.seconds, self.history = 0, 0.0, 0.0, []

    def parts(self):
        """What has a state_dict, by name."""
        return {name: getattr(self, name) for name in ("model", "guide", "average", "optimiser")}

    def progress(self):
        """How far it is."""
        return {name: getattr(self, name) for name in ("step", "loss", "seconds", "history")}

    def go_on(self, progress):
        """From there."""
        for name, value in progress.items():
            setattr(self, name, value)

    def epoch(self):
        """The number of those done."""
        return self.step // self.steps_per_epoch

    def next_batch(self):
        """An epoch's order follows from the seed, so that it can be gone on within."""
        epoch, i = divmod(self.step, self.steps_per_epoch)
        generator = torch.Generator().manual_seed(self.args.seed * 1000003 + epoch)
        order = torch.randperm(len(self.data.train.classes), generator=generator)
        return self.data.train.pick(order[i * self.args.batch:(i + 1) * self.args.batch])

    def kept_patches(self):
        """Which patches of a batch to look at, others for each picture: indices (batch, n); None:
        all."""
        count = self.model.pos_embed.shape[1] - 1
        if self.args.keep == 1.0 or self.epoch() >= self.args.epochs - self.args.whole:
            return None
        kept = max(1, round(self.args.keep * count))
        return torch.rand(self.args.batch, count).argsort(1)[:, :kept]


def augmented(run, split):
    """Pictures (n, C, H, W) as the model reads them; the shares of their classes and the teacher's
    features (n, classes + features)."""
    args, data = run.args, run.data
    flips = torch.rand(len(split.classes)) < (0.0 if args.no_flip else 0.5)
    x = data.normalised(pictures.shift_and_flip(split.images, args.shift, flips))
    if args.erase > 0:
        x = pictures.erase(x, args.erase)
    targets = F.one_hot(split.classes, len(data.labels)).float()
    if split.taught is not None:
        taught = split.taught[torch.arange(len(flips)), flips.long()]
        shares, features = taught.split([len(data.labels), data.taught_features], 1)
        targets = torch.cat([torch.lerp(targets, shares, args.teacher_share), features], 1)
    return pictures.mix(x, targets, args.mixup, args.cutmix)


def loss_of(run, x, targets, kept):
    """Cross-entropy, and the mean square by which the teacher's features are missed."""
    shares, features = targets.split([len(run.data.labels), run.data.taught_features], 1)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=run.args.bf16):
        found = run.model.features(x, kept)
        logits, guess = run.model.head(found), run.guide(found)
    loss = F.cross_entropy(logits.float(), shares, label_smoothing=run.args.label_smoothing)
    if features.shape[1] > 0 and run.args.teacher_features > 0:
        loss = loss + run.args.teacher_features * F.mse_loss(guess.float(), features)
    return loss


def add_gradients(run, x, targets):
    """Each thread takes a part of the batch, so that they wait for each other once a step: on a machine
    with other work to do one of them is always late. Returns the loss."""
    kept = run.kept_patches()

    def part(i):
        own = slice(i * len(x) // run.args.threads, (i + 1) * len(x) // run.args.threads)
        loss = loss_of(run, x[own], targets[own], None if kept is None else kept[own])
        loss = loss * (len(x[own]) / len(x))
        return loss.item(), torch.autograd.grad(loss, run.parameters, allow_unused=True)

    losses, gradients = zip(*run.workers.map(part, range(run.args.threads)))
    for p, parts in zip(run.parameters, zip(*gradients)):
        p.grad = None if parts[0] is None else sum(parts)
    return sum(losses)


def train_step(run):
    start = time.time()
    run.loss += add_gradients(run, *augmented(run, run.next_batch()))
    nn.utils.clip_grad_norm_(run.model.parameters(), 1.0)
    run.optimiser.step()
    run.average.update(run.model)
    run.step += 1
    run.seconds += time.time() - start


@torch.no_grad()
def evaluate(run):
    """Mean loss, and the class found for each picture to test on."""
    args, test = run.args, run.data.test
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=args.bf16):
        logits = torch.cat([run.average.model(run.data.normalised(images))
                            for images in test.images.split(args.batch)]).float()
    return F.cross_entropy(logits, test.classes).item(), logits.argmax(1)


# ---- what is written ----

def metrics_csv(history):
    text = io.StringIO()
    writer = csv.DictWriter(text, list(history[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: round(value, 5) for key, value in row.items()} for row in history)
    return text.getvalue()


def progress(row, run):
    """The line of a test, with the time left as the epochs so far tell."""
    seconds = sum(r["seconds"] for r in run.history)
    left = seconds / row["epoch"] * (run.args.epochs - row["epoch"])
    return (f"epoch {row['epoch']}/{run.args.epochs}  loss {row['train_loss']:.4f}  "
            f"test loss {row['test_loss']:.4f}  accuracy {row['test_accuracy']:.2%}  "
            f"{row['seconds']:.0f} s  {left / 60:.0f} min left")


def save_run(run, out):
    """What it takes to go on."""
    save_state(out / "state.pt", settings(run.args), run.progress(), run.parts())


def test_and_write(run, out, config):
    """Test, and write all files."""
    test, labels = run.data.test, run.data.labels
    tested = run.history[-1]["epoch"] if run.history else 0
    steps = (run.epoch() - tested) * run.steps_per_epoch
    test_loss, found = evaluate(run)
    run.history.append({"epoch": run.epoch(), "train_loss": run.loss / steps,
                        "test_loss": test_loss, "seconds": run.seconds,
                        "test_accuracy": (found == test.classes).float().mean().item()})
    run.loss, run.seconds = 0.0, 0.0
    save_checkpoint(out, run.average.model, config)
    save_run(run, out)
    save_text(out / "metrics.csv", metrics_csv(run.history))
    save_text(out / "curves.svg", curves.svg(run.history))
    save_text(out / "report.md", confusion.markdown(test.classes.tolist(), found.tolist(), labels))
    print(progress(run.history[-1], run), flush=True)


# ---- the command line ----

def add_data_options(p):
    p.add_argument("--data", default=pictures.FASHION_MNIST, help="folder of classes, or IDX files")
    p.add_argument("--grey", action="store_true", help="read pictures of folders as grey")
    p.add_argument("--hold-out", action="store_true",
                   help="test on a tenth of the pictures to train on, not on the test set: for "
                        "choosing settings")
    p.add_argument("--out", default="vit_fashion_mnist", help="folder to write")
    p.add_argument("--test-every", type=int, default=1, help="epochs")
    p.add_argument("--save-minutes", type=float, default=5, help="from one saved state to the next")


def add_model_options(p):
    p.add_argument("--name", default="", help="of the model, in config.json; made up if empty")
    p.add_argument("--img-size", type=int, default=28)
    p.add_argument("--patch-size", type=int, default=4)
    p.add_argument("--embed-dim", type=int, default=64)
    p.add_argument("--depth", type=int, default=6)
    p.add_argument("--num-heads", type=int, default=4)
    p.add_argument("--mlp-ratio", type=float, default=4.0)
    p.add_argument("--pool", choices=["token", "avg"], default="token")
    p.add_argument("--start", default="", help="checkpoint folder to start from, not from scratch")
    p.add_argument("--structured", action="store_true",
                   help="start with positions, patches and attention that have structure (initial.py)")


def add_picture_options(p):
    p.add_argument("--shift", type=int, default=2, help="pixels, each way")
    p.add_argument("--no-flip", action="store_true", help="no mirrored pictures")
    p.add_argument("--erase", type=float, default=0.0, help="share of pictures with a box erased")
    p.add_argument("--mixup", type=float, default=0.0, help="alpha; 0: none")
    p.add_argument("--cutmix", type=float, default=0.0, help="alpha; 0: none")
    p.add_argument("--keep", type=float, default=1.0,
                   help="share of the patches to look at while training, drawn at random")
    p.add_argument("--whole", type=int, default=0, help="epochs at the end that look at all patches")
    p.add_argument("--label-smoothing", type=float, default=0.1)
    p.add_argument("--teacher", default="", help="file of answers that teacher.py made")
    p.add_argument("--teacher-share", type=float, default=0.5,
                   help="share of the teacher's answers in what is to be learnt")
    p.add_argument("--teacher-features", type=float, default=1.0,
                   help="weight of the loss by which the teacher's features are missed")


def add_learning_options(p):
    p.add_argument("--epochs", type=int, default=24)
    p.add_argument("--warmup", type=float, default=2, help="epochs")
    p.add_argument("--cooldown", type=float, default=0,
                   help="epochs at the end in which the learning rate falls, after being constant; "
                        "0: it falls all the time, as a cosine")
    p.add_argument("--batch", type=int, default=128)
    p.add_argument("--lr", type=float, default=1.5e-3, help="of AdamW")
    p.add_argument("--weight-decay", type=float, default=0.05, help="of AdamW")
    p.add_argument("--muon-lr", type=float, default=0.0,
                   help="Muon for the blocks' matrices, 0.02 for a start; 0: AdamW for all")
    p.add_argument("--muon-weight-decay", type=float, default=0.01)
    p.add_argument("--ema-decay", type=float, default=0.998)
    p.add_argument("--seed", type=int, default=0)


def add_machine_options(p):
    p.add_argument("--bf16", action="store_true", help="multiply in bfloat16")
    p.add_argument("--threads", type=int, default=os.cpu_count())
    p.add_argument("--nice", type=int, default=10, help="how much to lower the priority")


def parse_args():
    p = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0],
                                formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    add_data_options(p.add_argument_group("what is read and written"))
    add_model_options(p.add_argument_group("the model"))
    add_picture_options(p.add_argument_group("what is made of the pictures"))
    add_learning_options(p.add_argument_group("how it learns"))
    add_machine_options(p.add_argument_group("what it runs on"))
    args = p.parse_args()
    wrong = [words for words, right in (
        ("--embed-dim is not a multiple of --num-heads", args.embed_dim % args.num_heads == 0),
        ("--structured needs an --embed-dim that is a multiple of 4",
         not args.structured or args.embed_dim % 4 == 0),
        ("--structured and --start exclude each other", not (args.structured and args.start)),
        ("--keep is a share, more than 0 and at most 1", 0 < args.keep <= 1),
        ("--threads is from 1 to --batch", 1 <= args.threads <= args.batch)) if not right]
    if wrong:
        p.error("; ".join(wrong))
    return args


# ---- the run ----

def train(run, out, config):
    """Until the last epoch is done, or the process is told to end."""
    told = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told.append(True))
    print(f"{len(run.data.train.classes)} pictures to train on, {len(run.data.test.classes)} to test "
          f"on, {len(run.data.labels)} classes; {sum(p.numel() for p in run.model.parameters())} "
          f"parameters; {run.args.epochs} epochs of {run.steps_per_epoch} steps, {run.epoch()} done",
          flush=True)
    saved = time.time()
    while run.step < run.args.epochs * run.steps_per_epoch and not told:
        train_step(run)
        epoch, i = divmod(run.step, run.steps_per_epoch)
        if i == 0 and (epoch % run.args.test_every == 0 or epoch == run.args.epochs):
            test_and_write(run, out, config)
            saved = time.time()
        elif told or time.time() - saved > 60 * run.args.save_minutes:
            save_run(run, out)
            saved = time.time()
    if told:
        print(f"told to end after step {run.step}; the same command line goes on", flush=True)


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


def settings(args):
    """Those that a run keeps when it goes on."""
    return {key: value for key, value in vars(args).items() if key not in HOW_TO_RUN}


def load_data(args):
    """The pictures, with what the teacher says of those to train on."""
    train, test, labels = pictures.load(args.data, args.img_size, args.grey)
    if args.teacher:
        train.taught = load_taught(Path(args.teacher), len(train.classes), labels)
    if args.hold_out or test is None:
        train, test = pictures.hold_out(train)
    mean, std = pictures.channel_statistics(train.images)
    features = train.taught.shape[2] - len(labels) if args.teacher else 0
    if len(train.classes) < args.batch:
        raise SystemExit(f"{len(train.classes)} pictures are less than a batch (--batch)")
    return Data(train, test, labels, mean, std, features)


def main():
    args = parse_args()
    prepare(args)
    out, data = Path(args.out), load_data(args)
    shape = model_args(args, data.train.images.shape[1])
    config = timm_config(args.name or default_name(args), shape, data.mean, data.std, data.labels)
    run = Run(args, data, shape)
    if (out / "state.pt").exists():
        run.go_on(load_state(out / "state.pt", settings(args), MAY_CHANGE, run.parts()))
    out.mkdir(parents=True, exist_ok=True)
    train(run, out, config)


if __name__ == "__main__":
    main()
