"""Compares merged tokens (options.merge) with PyTorch.

    merge.py BUILD

BUILD is the folder with the programs. The reference is the algorithm of Bolya et al. 2023
(arXiv:2210.09461), written here from the paper and the authors' description of their code, on
plain_vit.py's model of torch.nn's layers: logits to 1e-5 of the largest in float32. Random models
with one, two and five prefix tokens, means of tokens and norms of queries and keys; then DeiT-Tiny of
VIT_TEST_DATA on its photos, picture by picture, and int8's agreement with itself.
Prints 'N passed, N failed'.

Which tokens merge is a choice: where two of them are as similar as rounding can tell, either is right,
and the logits differ by more than rounding. The reference computes by how much each choice was clear;
pictures with one that was not, below CLEAR, are counted and only their answers compared.
"""
import os
import sys
import tempfile

import numpy as np
import torch

import checkpoints
import photos
import recipe as recipes
from attention import Model, Report, compile_library
from plain_vit import Config, PlainViT, randomise
from programs import Programs

CLEAR = 2e-6  # of cosines
RS = (4, 8, 12, 16, 40)


def attend(attention, x, size):
    """Attention with log(size) added to the scores; also the keys' mean over the heads."""
    batch, tokens, _ = x.shape
    qkv = attention.qkv(x).reshape(batch, tokens, 3, attention.num_heads, attention.head_dim)
    q, k, v = qkv.permute(2, 0, 3, 1, 4)
    q, k = attention.q_norm(q), attention.k_norm(k)
    scores = q * attention.head_dim**-0.5 @ k.transpose(-2, -1) + size.log()[:, None, None, :]
    out = (scores.softmax(dim=-1) @ v).transpose(1, 2).reshape(batch, tokens, -1)
    return attention.proj(out), k.mean(dim=1)


class Matching:
    """Bipartite soft matching of one picture's tokens, of which the first `prefix` are protected."""

    def __init__(self, metric, r, prefix):
        tokens = len(metric)
        self.r, self.prefix = min(r, (tokens - prefix) // 2), prefix
        metric = metric / metric.norm(dim=-1, keepdim=True)
        scores = metric[::2] @ metric[1::2].T  # A: even tokens, B: odd ones
        scores[: (prefix + 1) // 2] = -torch.inf
        scores[:, : prefix // 2] = -torch.inf
        best, self.partner = scores.max(dim=-1)
        order = best.argsort(descending=True, stable=True)
        self.merged, self.unmerged = order[: self.r], order[self.r :].sort()[0]
        self.margin = self.clearness(scores, best, order)

    def clearness(self, scores, best, order):
        """The least difference of two similarities that decided something."""
        if self.r == 0:
            return torch.inf
        margins = [torch.inf]
        if self.r < len(order):
            margins.append(float(best[order[self.r - 1]] - best[order[self.r]]))
        if scores.shape[1] - self.prefix // 2 > 1:
            two = scores[self.merged].topk(2, dim=-1)[0]
            margins.append(float((two[:, 0] - two[:, 1]).min()))
        return min(margins)

    def merge(self, x):
        """(tokens, width): sums; unmerged tokens of A, then B, prefix tokens in front as they were."""
        a, b = x[::2], x[1::2].clone()
        b.index_add_(0, self.partner[self.merged], a[self.merged])
        protected_a, protected_b = (self.prefix + 1) // 2, self.prefix // 2
        return torch.cat([x[: self.prefix], a[self.unmerged][protected_a:], b[protected_b:]])


def merged_logits(model, pixels, r):
    """(logits, clearness of the choices) of one picture (C, H, W), with r tokens merged a block."""
    c, margin = model.config, torch.inf
    x = model.norm_pre(model.embed(pixels[None]))
    size = torch.ones(1, x.shape[1], dtype=x.dtype)
    for block in model.blocks:
        out, metric = attend(block.attn, block.norm1(x), size)
        x = x + block.ls1(out)
        matching = Matching(metric[0], r, c.prefix_tokens)
        margin = min(margin, matching.margin)
        total = matching.merge(x[0] * size[0, :, None])
        size = matching.merge(size[0, :, None])[None, :, 0]
        x = (total / size[0, :, None])[None]
        x = x + block.ls2(block.mlp(block.norm2(x)))
    return head(model, x, size[0]), margin


def head(model, x, size):
    """(classes,): what PlainViT makes of the last block's output, with means weighted by size."""
    c, x = model.config, model.norm(x)
    def mean(first):
        return (x[:, first:] * size[first:, None]).sum(1) / size[first:].sum()
    parts = {"token": lambda: x[:, 0], "avg": lambda: mean(c.prefix_tokens), "all": lambda: mean(0)}
    return model.head(model.fc_norm(parts[c.pool]()))[0]


def random_models():
    """(name, config): what touches matching and merging."""
    small = dict(img_size=(40, 32), patch_size=(4, 4), num_classes=11, embed_dim=48, depth=4,
                 num_heads=3, mlp_dim=96)
    yield "class token", Config(**small)
    yield "two prefix tokens", Config(**small, reg_tokens=1)
    yield "five prefix tokens", Config(**small, reg_tokens=4)
    yield "no prefix token", Config(**small, class_token=False, pool="avg", fc_norm=True)
    yield "mean of patches", Config(**small, pool="avg")
    yield "mean of all", Config(**small, pool="all")
    yield "norms of queries and keys", Config(**small, qk_norm=True)
    yield "one head", Config(**{**small, "num_heads": 1})
    yield "heads of 20", Config(**{**small, "head_dim": 20})


def compare_logits(report, name, vit, model, pixels, r):
    """Both ways to compute it; returns whether the choices were clear, and both answers."""
    want, margin = merged_logits(model, pixels, r)
    want = want.float().numpy()
    answers = []
    for low_memory in (0, 1):
        got = vit.call("parity_merged", pixels, want.shape, r, low_memory)
        answers.append(got.argmax())
        if margin > CLEAR:
            error = np.abs(got - want).max() / np.abs(want).max()
            report.check(f"{name}, r = {r}, low_memory {low_memory}", error)
    return margin > CLEAR, want.argmax(), answers[0]


def compare_random(report, library, programs, folder):
    """Small models; choices that are not clear are few among their few tokens."""
    clear = count = 0
    for seed, (name, config) in enumerate(random_models()):
        model = randomise(PlainViT(config), seed).eval()
        source = checkpoints.Checkpoint(model.state_dict(), checkpoints.timm_config(config, "random"))
        target = os.path.join(folder, "m.vit")
        programs.convert(["--heads", config.num_heads], source.save(os.path.join(folder, str(seed))),
                         target)
        vit, double = Model(library, target), model.double()
        pixels = torch.randn(3, *config.img_size).double()
        for r in (1, 5, 12, 1000):
            clear += compare_logits(report, name, vit, double, pixels, r)[0]
            count += 1
    report.check("share of clear choices, random models", count * 0.9 - clear, 0)


def compare_photos(report, library, programs, folder, data):
    """DeiT-Tiny: every photo, several r."""
    files = photos.read_index(os.path.join(data, "photos"))
    inputs = [recipes.preprocess(recipes.Recipe(), photos.decode(path)) for path, _ in files]
    target, packed = os.path.join(folder, "t.vit"), os.path.join(folder, "t8.vit")
    programs.convert([], os.path.join(data, "deit_tiny"), target)
    programs.convert(["--dtype", "int8"], os.path.join(data, "deit_tiny"), packed)
    vit, integers = Model(library, target), Model(library, packed)
    model = photos.load_model(os.path.join(data, "deit_tiny")).double()
    for r in RS:
        results = [compare_logits(report, os.path.basename(path), vit, model,
                                  torch.from_numpy(x).double(), r)
                   for x, (path, _) in zip(inputs, files)]
        int8 = [integers.call("parity_merged", x, (1000,), r, 0).argmax() for x in inputs]
        clear = sum(result[0] for result in results)
        same = sum(result[1] == result[2] for result in results)
        alike = sum(a == result[1] for a, result in zip(int8, results))
        right = sum(result[2] == label for result, (_, label) in zip(results, files))
        print(f"DeiT-Tiny, r = {r}: {clear} of {len(files)} photos with clear choices; the first class "
              f"is PyTorch's in {same}, int8's in {alike}; {right} are right")
        report.check(f"photos with clear choices, r = {r}", len(files) * 0.8 - clear, 0)
        report.check(f"answers, r = {r}", len(files) - same, 0)
        if r <= 16:
            report.check(f"answers of int8, r = {r}", len(files) - alike, len(files) * 0.1)


def main():
    """Compare everything."""
    programs, data, report = Programs(sys.argv[1]), os.environ.get("VIT_TEST_DATA"), Report()
    torch.set_grad_enabled(False)
    torch.manual_seed(1)
    with tempfile.TemporaryDirectory() as folder:
        library = compile_library(folder)
        compare_random(report, library, programs, folder)
        if data:
            compare_photos(report, library, programs, folder, data)
        else:
            print("SKIPPED: DeiT-Tiny: VIT_TEST_DATA is not set")
    print(f"{report.passed} passed, {report.failed} failed")
    sys.exit(report.failed > 0)


if __name__ == "__main__":
    main()
