"""What changes the weights: Muon, AdamW, the learning rate's schedule, the moving average."""

import copy
import math

import torch


def orthogonalised(x, steps=5):
    """The nearest matrices with orthogonal rows, about: (n, rows, columns), rows <= columns. A
    Newton-Schulz iteration, whose coefficients let singular values end between 0.7 and 1.2."""
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(steps):
        square = x @ x.transpose(1, 2)
        factor = torch.baddbmm(square, square, square, beta=-4.7750, alpha=2.0315)
        x = torch.baddbmm(x, factor, x, beta=3.4445)
    return x


class Muon(torch.optim.Optimizer):
    """Momentum whose every step is made orthogonal (Jordan and others 2024), for the matrices of the
    blocks: no direction of a matrix learns slower than the others. q, k and v are three matrices.
    dtype: in which the steps are made orthogonal."""

    def __init__(self, params, lr, weight_decay, dtype, momentum=0.95):
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})
        self.dtype = dtype

    def direction(self, p, momentum):
        """Nesterov's momentum as (matrices, rows, columns), rows <= columns."""
        state = self.state[p]
        if not state:
            state["average"] = torch.zeros_like(p)
        state["average"].lerp_(p.grad, 1 - momentum)
        matrices = p.grad.lerp(state["average"], momentum)
        rows, columns = p.shape
        matrices = matrices.view(3 if rows == 3 * columns else 1, -1, columns)
        return matrices.transpose(1, 2) if matrices.shape[1] > columns else matrices

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            shapes = {}  # matrices of one shape are computed together
            for p in group["params"]:
                matrices = self.direction(p, group["momentum"])
                shapes.setdefault(matrices.shape[1:], []).append((p, matrices))
            for pairs in shapes.values():
                steps = torch.cat([matrices for _, matrices in pairs]).to(self.dtype)
                parts = orthogonalised(steps).float().split([len(matrices) for _, matrices in pairs])
                for (p, _), part in zip(pairs, parts):
                    self.move(p, part, group["lr"], group["weight_decay"])

    @staticmethod
    def move(p, part, lr, weight_decay):
        """Longer steps for matrices with more rows than columns, whose outputs are as large then."""
        part = part if part.shape[2] == p.shape[1] else part.transpose(1, 2)
        scale = max(1, part.shape[1] / part.shape[2]) ** 0.5
        p.mul_(1 - lr * weight_decay)
        p.add_(part.reshape(p.shape), alpha=-lr * scale)


class Optimiser:
    """Muon for the blocks' matrices, AdamW for the rest; AdamW for all where muon_lr is 0. Biases,
    norms and embeddings are not decayed. The learning rates follow factor(step)."""

    def __init__(self, modules, args, factor):
        matrices, others, plain = [], [], []
        for name, p in (pair for module in modules for pair in module.named_parameters()):
            if p.ndim < 2 or name in ("cls_token", "pos_embed"):
                plain.append(p)
            elif args.muon_lr > 0 and name.startswith("blocks."):
                matrices.append(p)
            else:
                others.append(p)
        groups = [{"params": others, "weight_decay": args.weight_decay},
                  {"params": plain, "weight_decay": 0.0}]
        self.optimisers = [torch.optim.AdamW(groups, lr=args.lr, betas=(0.9, 0.98))]
        if matrices:
            dtype = torch.bfloat16 if args.bf16 else torch.float32
            self.optimisers.append(Muon(matrices, args.muon_lr, args.muon_weight_decay, dtype))
        self.schedules = [torch.optim.lr_scheduler.LambdaLR(optimiser, factor)
                          for optimiser in self.optimisers]

    def step(self):
        for part in self.optimisers + self.schedules:
            part.step()

    def state_dict(self):
        return [part.state_dict() for part in self.optimisers + self.schedules]

    def load_state_dict(self, states):
        for part, state in zip(self.optimisers + self.schedules, states):
            part.load_state_dict(state)


def schedule(warmup_steps, total_steps, cooldown_steps):
    """The factor of a step: linear warm-up, then a half cosine that ends at zero with the run; or, with
    a cool-down, one up to that and then linearly to zero."""
    def factor(step):
        if step < warmup_steps:
            return (step + 1) / warmup_steps
        if cooldown_steps > 0:
            return min(1.0, max(0, total_steps - step) / cooldown_steps)
        done = (step - warmup_steps) / max(1, total_steps - warmup_steps)
        return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
    return factor


class Average:
    """The exponential moving average (EMA) of a model's weights, in a model of its own."""

    def __init__(self, model, decay):
        self.model = copy.deepcopy(model).requires_grad_(False).eval()
        self.decay, self.steps = decay, 0

    @torch.no_grad()
    def update(self, model):
        """With a short memory at the start."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        for average, p in zip(self.model.parameters(), model.parameters()):
            average.lerp_(p, 1 - decay)

    def state_dict(self):
        return {"model": self.model.state_dict(), "steps": self.steps}

    def load_state_dict(self, state):
        self.model.load_state_dict(state["model"])
        self.steps = state["steps"]
