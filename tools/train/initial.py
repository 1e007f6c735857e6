"""Weights to start from that spare a model of small pictures the first epochs: none is learnt."""

import math

import torch

MIMETIC_QK = (0.7, 0.7)  # noise and identity: a token attends to those like itself
MIMETIC_V = (0.4, -0.4)  # and takes off what they have in common


def sincos_axis(places, dim):
    """(n, dim): sines and cosines of falling frequencies."""
    frequencies = 10000 ** -(torch.arange(dim // 2) / (dim // 2))
    angles = places[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], 1)


def sincos_positions(model):
    """The patches' position embeddings by row and column (MAE, He and others 2021)."""
    _, tokens, dim = model.pos_embed.shape
    side = math.isqrt(tokens - 1)
    places = torch.arange(side).float()
    rows = sincos_axis(places.repeat_interleave(side), dim // 2)
    columns = sincos_axis(places.repeat(side), dim // 2)
    model.pos_embed[0, 1:] = torch.cat([columns, rows], 1)


def factors(dim, rank, noise, identity):
    """Two matrices (rank, dim) the product of whose transpose and itself is near to
    noise * N(0, 1 / dim) + identity * I."""
    u, s, v = torch.linalg.svd(noise * torch.randn(dim, dim) / dim**0.5 + identity * torch.eye(dim))
    root = s[:rank].sqrt()[:, None]
    return root * u.T[:rank], root * v[:rank]


def mimetic_attention(attention):
    """As attention looks after training (Trockman and Kolter 2023)."""
    dim = attention.proj.in_features
    head_dim = dim // attention.num_heads
    for start in range(0, dim, head_dim):
        query, key = factors(dim, head_dim, *MIMETIC_QK)
        attention.qkv.weight[start:start + head_dim] = query
        attention.qkv.weight[dim + start:dim + start + head_dim] = key
    value, projection = factors(dim, dim, *MIMETIC_V)
    attention.qkv.weight[2 * dim:] = value
    attention.proj.weight.copy_(projection.T)


def whitening_patches(model, pictures):
    """Patch embeddings of uncorrelated values, all of about one size: what neighbouring pixels have in
    common would drown their differences. pictures: some normalised ones (n, channels, H, W)."""
    weight = model.patch_embed.proj.weight
    size = weight.shape[2]
    patches = torch.nn.functional.unfold(pictures, size, stride=size)
    patches = patches.transpose(1, 2).reshape(-1, weight[0].numel())
    values, vectors = torch.linalg.eigh(patches.T @ patches / len(patches))
    whitening = vectors / (values + 0.01 * values.mean()).sqrt()
    mixed = torch.nn.init.orthogonal_(torch.empty(len(weight), len(values)))
    scale = (len(weight) / len(values)) ** 0.5 if len(weight) > len(values) else 1.0
    weight.copy_((scale * mixed @ whitening.T).view_as(weight))


@torch.no_grad()
def structured(model, pictures):
    """All of these."""
    sincos_positions(model)
    whitening_patches(model, pictures)
    for block in model.blocks:
        mimetic_attention(block.attn)
