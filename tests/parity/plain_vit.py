"""A Vision Transformer made of torch.nn's own layers, with timm's parameter names.

It is the oracle where torchvision has no such model: other than three channels, pictures and
patches that are not square, mean pooling, models without biases of q, k and v, GELU's tanh form,
distillation and register tokens, LayerScale. parity.py checks it against torchvision where both
exist.
"""
from dataclasses import dataclass, fields

import torch
from torch import nn


@dataclass
class Config:
    """What a model is. pool: token, avg, all (the mean of prefix tokens and patches), distilled (mean
    of two heads) or token_avg (both in a row)."""

    img_size: tuple = (224, 224)
    patch_size: tuple = (16, 16)
    in_chans: int = 3
    num_classes: int = 1000
    embed_dim: int = 192
    depth: int = 12
    num_heads: int = 3
    head_dim: int = 0
    mlp_dim: int = 768
    class_token: bool = True
    dist_token: bool = False
    reg_tokens: int = 0
    no_embed_class: bool = False
    pool: str = "token"
    fc_norm: bool = False
    qkv_bias: bool = True
    layer_scale: bool = False
    pre_logits: int = 0
    act: str = "gelu"  # gelu_tanh, quick_gelu, relu, swiglu
    norm_eps: float = 1e-6
    norm_pre: bool = False
    qk_norm: bool = False
    patch_norm: bool = False  # of the pixels and of their embedding
    final_norm: bool = True
    patch_bias: bool = True
    head_bias: bool = True

    def __post_init__(self):
        """The width of an attention head is a free choice; 0 stands for the usual one."""
        self.head_dim = self.head_dim or self.embed_dim // self.num_heads

    @property
    def grid(self):
        """Patches down and across."""
        return self.img_size[0] // self.patch_size[0], self.img_size[1] // self.patch_size[1]

    @property
    def prefix_tokens(self):
        """Tokens in front of the patches."""
        return int(self.class_token) + int(self.dist_token) + self.reg_tokens

    @property
    def tokens(self):
        """All tokens."""
        return self.prefix_tokens + self.grid[0] * self.grid[1]


def config_from(values):
    """A Config from a dictionary that may hold other things as well."""
    known = {field.name for field in fields(Config)}
    return Config(**{key: value for key, value in values.items() if key in known})


class Attention(nn.Module):
    """Multi-head self-attention over all tokens."""

    def __init__(self, c):
        super().__init__()
        inner = c.num_heads * c.head_dim
        self.num_heads, self.head_dim = c.num_heads, c.head_dim
        self.qkv = nn.Linear(c.embed_dim, 3 * inner, bias=c.qkv_bias)
        self.proj = nn.Linear(inner, c.embed_dim)
        self.q_norm = nn.LayerNorm(c.head_dim, eps=c.norm_eps) if c.qk_norm else nn.Identity()
        self.k_norm = nn.LayerNorm(c.head_dim, eps=c.norm_eps) if c.qk_norm else nn.Identity()

    def forward(self, x):
        """(B, tokens, embed_dim) to the same."""
        batch, tokens, _ = x.shape
        qkv = self.qkv(x).reshape(batch, tokens, 3, self.num_heads, self.head_dim)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        q, k = self.q_norm(q), self.k_norm(k)
        weights = (q * self.head_dim**-0.5 @ k.transpose(-2, -1)).softmax(dim=-1)
        return self.proj((weights @ v).transpose(1, 2).reshape(batch, tokens, -1))


class QuickGelu(nn.Module):
    """x * sigmoid(1.702 * x)."""

    def forward(self, x):
        """Element by element."""
        return x * torch.sigmoid(1.702 * x)


ACTS = {
    "gelu": nn.GELU,
    "gelu_tanh": lambda: nn.GELU(approximate="tanh"),
    "quick_gelu": QuickGelu,
    "relu": nn.ReLU,
    "swiglu": nn.SiLU,  # of the first half, which the second is multiplied by
}


class Mlp(nn.Module):
    """Two layers with an activation between them."""

    def __init__(self, c):
        super().__init__()
        self.gated = c.act == "swiglu"
        self.fc1 = nn.Linear(c.embed_dim, c.mlp_dim * (1 + self.gated))
        self.act = ACTS[c.act]()
        self.fc2 = nn.Linear(c.mlp_dim, c.embed_dim)

    def forward(self, x):
        """(..., embed_dim) to the same."""
        if not self.gated:
            return self.fc2(self.act(self.fc1(x)))
        gate, value = self.fc1(x).chunk(2, dim=-1)
        return self.fc2(self.act(gate) * value)


class LayerScale(nn.Module):
    """Multiplies each channel by a learned factor."""

    def __init__(self, dim):
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(dim))

    def forward(self, x):
        """(..., dim) to the same."""
        return x * self.gamma


class Block(nn.Module):
    """LayerNorm, attention, residual; LayerNorm, MLP, residual."""

    def __init__(self, c):
        super().__init__()
        self.norm1 = nn.LayerNorm(c.embed_dim, eps=c.norm_eps)
        self.attn = Attention(c)
        self.norm2 = nn.LayerNorm(c.embed_dim, eps=c.norm_eps)
        self.mlp = Mlp(c)
        self.ls1 = LayerScale(c.embed_dim) if c.layer_scale else nn.Identity()
        self.ls2 = LayerScale(c.embed_dim) if c.layer_scale else nn.Identity()

    def forward(self, x):
        """(B, tokens, embed_dim) to the same."""
        x = x + self.ls1(self.attn(self.norm1(x)))
        return x + self.ls2(self.mlp(self.norm2(x)))


class PatchEmbed(nn.Module):
    """A convolution whose stride is its kernel's size."""

    def __init__(self, c):
        super().__init__()
        size = tuple(c.patch_size)
        self.proj = nn.Conv2d(c.in_chans, c.embed_dim, kernel_size=size, stride=size,
                              bias=c.patch_bias)

    def forward(self, x):
        """(B, C, H, W) to (B, patches, embed_dim), row by row."""
        return self.proj(x).flatten(2).transpose(1, 2)


class NormedPatchEmbed(nn.Module):
    """LayerNorm of a patch's pixels (channel, row, column), a projection, LayerNorm: Dual PatchNorm."""

    def __init__(self, c):
        super().__init__()
        self.size = tuple(c.patch_size)
        inputs = c.in_chans * self.size[0] * self.size[1]
        self.patch_norm = nn.LayerNorm(inputs, eps=c.norm_eps)
        self.proj = nn.Linear(inputs, c.embed_dim)
        self.norm = nn.LayerNorm(c.embed_dim, eps=c.norm_eps)

    def forward(self, x):
        """(B, C, H, W) to (B, patches, embed_dim), row by row."""
        patches = nn.functional.unfold(x, self.size, stride=self.size).transpose(1, 2)
        return self.norm(self.proj(self.patch_norm(patches)))


class PlainViT(nn.Module):
    """The whole model. forward gives logits; embed, stages and pooled give the steps before."""

    def __init__(self, c):
        super().__init__()
        self.config = c
        dim, patches = c.embed_dim, c.grid[0] * c.grid[1]
        self.patch_embed = NormedPatchEmbed(c) if c.patch_norm else PatchEmbed(c)
        if c.class_token:
            self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        if c.dist_token:
            self.dist_token = nn.Parameter(torch.zeros(1, 1, dim))
        if c.reg_tokens:
            self.reg_token = nn.Parameter(torch.zeros(1, c.reg_tokens, dim))
        positions = patches if c.no_embed_class else c.tokens
        self.pos_embed = nn.Parameter(torch.zeros(1, positions, dim))
        self.blocks = nn.ModuleList(Block(c) for _ in range(c.depth))
        self.norm_pre = nn.LayerNorm(dim, eps=c.norm_eps) if c.norm_pre else nn.Identity()
        norm = nn.LayerNorm(dim, eps=c.norm_eps) if c.final_norm else nn.Identity()
        self.norm = nn.Identity() if c.fc_norm else norm
        self.fc_norm = norm if c.fc_norm else nn.Identity()
        width = 2 * dim if c.pool == "token_avg" else dim
        if c.pre_logits:
            self.pre_logits = nn.Sequential()
            self.pre_logits.add_module("fc", nn.Linear(width, c.pre_logits))
            self.pre_logits.add_module("act", nn.Tanh())
            width = c.pre_logits
        self.head = nn.Identity()
        if c.num_classes:
            self.head = nn.Linear(width, c.num_classes, bias=c.head_bias)
        if c.pool == "distilled":
            self.head_dist = nn.Linear(width, c.num_classes)

    def prefix(self, batch):
        """(B, prefix_tokens, embed_dim): class token, distillation token, registers."""
        names = ("cls_token", "dist_token", "reg_token")
        parts = [getattr(self, name) for name in names if hasattr(self, name)]
        return [part.expand(batch, -1, -1) for part in parts]

    def embed(self, pixels):
        """(B, C, H, W) to (B, tokens, embed_dim), positions added."""
        x = self.patch_embed(pixels)
        if self.config.no_embed_class:
            return torch.cat(self.prefix(len(x)) + [x + self.pos_embed], dim=1)
        return torch.cat(self.prefix(len(x)) + [x], dim=1) + self.pos_embed

    def stages(self, pixels):
        """The residual stream: after the embedding, then after each block."""
        x = self.norm_pre(self.embed(pixels))
        yield x
        for block in self.blocks:
            x = block(x)
            yield x

    def pooled(self, x):
        """(B, tokens, embed_dim) to what the heads read, a list of (B, width)."""
        c = self.config
        x = self.norm(x)
        average = x[:, c.prefix_tokens :].mean(dim=1)
        parts = {
            "token": [x[:, 0]],
            "avg": [average],
            "all": [x.mean(dim=1)],
            "distilled": [x[:, 0], x[:, 1]],
            "token_avg": [x[:, 0], average],
        }[c.pool]
        parts = [self.fc_norm(part) for part in parts]
        return [torch.cat(parts, dim=1)] if c.pool == "token_avg" else parts

    def forward(self, pixels):
        """(B, C, H, W) to (B, num_classes)."""
        for x in self.stages(pixels):
            pass
        parts = self.pooled(x)
        if self.config.pre_logits:
            parts = [self.pre_logits(part) for part in parts]
        if self.config.pool == "distilled":
            return (self.head(parts[0]) + self.head_dist(parts[1])) / 2
        return self.head(parts[0])


def randomise(module, seed):
    """Give every parameter random values of the scale they have in trained models."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in sorted(module.named_parameters()):
            values = torch.randn(parameter.shape, generator=generator)
            if parameter.dim() > 1 and name.endswith("weight"):
                values *= 1.2 / parameter[0].numel() ** 0.5
            elif parameter.dim() > 1:
                values *= 0.5
            elif name.endswith("bias"):
                values *= 0.2
            else:
                values = 1 + 0.25 * values
            parameter.copy_(values)
    return module.eval()
