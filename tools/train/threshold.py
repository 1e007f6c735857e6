#!/usr/bin/env python3
"""The score below which an answer is none of the classes, for vit-convert --reject-below: the one that
keeps a share of the right answers on the tenth of the pictures that train.py --hold-out tests on, and
has not learnt from.

    /usr/bin/python3 tools/train/threshold.py --data MY_PICTURES --model mine.vit --keep 0.9
"""

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

import pictures


def answers(args, paths):
    """(label, score) of the best class of each picture."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as names:
        names.write("".join(f"{path.resolve()}\n" for path in paths))
        names.flush()
        lines = subprocess.run([args.classify, "-m", args.model, "-k", "1", "--json", "@" + names.name],
                               check=True, stdout=subprocess.PIPE).stdout.splitlines()
    tops = [json.loads(line)["top"][0] for line in lines]
    return [(top["label"], top["score"]) for top in tops]


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0],
                                formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    p.add_argument("--data", required=True, help="folder of classes, as for train.py")
    p.add_argument("--model", required=True, help="the .vit file")
    p.add_argument("--keep", type=float, default=0.9, help="share of the right answers to keep")
    p.add_argument("--classify", default="build/vit-classify", help="the program")
    args = p.parse_args()
    paths, classes, labels = pictures.training_paths(Path(args.data))
    held = pictures.held_out_indices(len(paths)).tolist()
    found = answers(args, [paths[i] for i in held])
    right = sorted(score for (label, score), i in zip(found, held) if label == labels[classes[i]])
    wrong = [score for (label, score), i in zip(found, held) if label != labels[classes[i]]]
    threshold = right[int((1 - args.keep) * len(right))]
    print(f"{len(right)} of {len(held)} held-out pictures right, {len(right) / len(held):.2%}")
    print(f"--reject-below {threshold:.4f} keeps {args.keep:.0%} of the right answers and refuses "
          f"{sum(score < threshold for score in wrong) / max(1, len(wrong)):.0%} of the wrong ones")


if __name__ == "__main__":
    main()
