"""The figures of one type of weights, their bounds, and the table."""
from dataclasses import dataclass
from statistics import median

import numpy as np

from report import short, table


@dataclass
class Figures:
    """top1, top5: how many are right; other: how many have another best class than float32 has; loss:
    by how many fewer are right than in float32; mean_error, largest_error: of |logit - float32's
    logit|, over all pictures and classes; milliseconds: of a picture, in each round."""

    pictures: int
    top1: int
    top5: int
    other: int
    loss: int
    mean_error: float
    largest_error: float
    megabytes: float
    size_share: float  # of float32's file
    milliseconds: list
    slowdown: float  # time, as a multiple of float32's

    @property
    def other_percent(self):
        """Share of pictures with another best class than in float32."""
        return 100 * self.other / self.pictures

    @property
    def loss_points(self):
        """Percentage points of top-1 lost to float32."""
        return 100 * self.loss / self.pictures


@dataclass
class Bound:
    """The most that a figure may be. timing: checked with --bench only."""

    subject: str
    name: str
    figure: str
    most: float
    timing: bool = False


CALIBRATED = "int4-calibrated"

BOUNDS = [
    Bound("fashion-mnist", "f16", "size_share", 0.55),
    Bound("fashion-mnist", "bf16", "size_share", 0.55),
    Bound("fashion-mnist", "int8", "size_share", 0.33),
    Bound("fashion-mnist", "int8x", "size_share", 0.33),
    Bound("fashion-mnist", "int4", "size_share", 0.2),
    Bound("fashion-mnist", "f16", "other", 0),
    Bound("fashion-mnist", "int8", "loss_points", 0.2),
    Bound("fashion-mnist", "int8", "other_percent", 2),
    Bound("fashion-mnist", "int4", "loss_points", 1),
    Bound("deit-tiny", "f16", "other", 0),
    Bound("deit-tiny", "f16", "slowdown", 1.03, timing=True),
    Bound("deit-tiny", "int8", "mean_error", 0.070),
    Bound("deit-tiny", "int8x", "mean_error", 0.035),
    Bound("deit-tiny", "int4", "megabytes", 3.6),
    Bound("deit-tiny", CALIBRATED, "megabytes", 3.6),
    Bound("deit-tiny", CALIBRATED, "mean_error", 0.21),
]


def best(logits, count):
    """Indices of the largest logits of each picture, the largest first."""
    return np.argsort(-logits, axis=1, kind="stable")[:, :count]


@dataclass
class Result:
    """What was measured: logits, bytes of the file, milliseconds of a picture in each round."""

    logits: np.ndarray
    size: int
    times: list


def figures(result, base, classes):
    """The figures of a result; base is float32's."""
    five, five_before = best(result.logits, 5), best(base.logits, 5)
    errors = np.abs(result.logits.astype(float) - base.logits)
    right = five[:, 0] == classes
    return Figures(
        pictures=len(classes), top1=int(right.sum()),
        top5=int((five == classes[:, None]).sum()),
        other=int((five[:, 0] != five_before[:, 0]).sum()),
        loss=int((five_before[:, 0] == classes).sum() - right.sum()),
        mean_error=float(errors.mean()), largest_error=float(errors.max()),
        megabytes=result.size / 1e6, size_share=result.size / base.size, milliseconds=result.times,
        slowdown=median(a / b for a, b in zip(result.times, base.times)))


def check(subject, results, timing):
    """Print each bound and the figure. Returns how many bounds are missed."""
    failed = 0
    for bound in BOUNDS:
        if bound.subject != subject or bound.name not in results:
            continue
        if bound.timing and not timing:
            continue
        value = getattr(results[bound.name], bound.figure)
        good = value <= bound.most  # false for a NaN
        failed += not good
        print(f"{bound.name:6} {bound.figure:14} {value:7.4g}, at most {bound.most:<6g}"
              f" {'ok' if good else 'FAIL'}")
    return failed


def share(count, pictures):
    """In per cent if there are many pictures, otherwise the count."""
    return f"{100 * count / pictures:.2f} %" if pictures >= 1000 else str(count)


def row(name, f):
    """A line of the table."""
    counts = (f.top1, f.top5, f.pictures - f.other)
    cells = [share(count, f.pictures) for count in counts]
    error = "0" if f.largest_error == 0 else f"{f.mean_error:.2g} / {f.largest_error:.2g}"
    return [name, *cells, error, f"{f.megabytes:.2f}", short(median(f.milliseconds))]


def markdown(title, results, names):
    """The table of a subject."""
    head = [title, "top-1", "top-5", "float32's top-1", "logit error: mean / largest", "MB",
            "ms a picture"]
    return table(head, [row(names[name], f) for name, f in results.items()])
