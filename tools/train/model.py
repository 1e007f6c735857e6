"""A pre-norm Vision Transformer, its parameters named as timm names them."""

import torch
from torch import nn
from torch.nn import functional as F


class PatchEmbed(nn.Module):
    def __init__(self, patch_size, in_chans, embed_dim):
        super().__init__()
        self.proj = nn.Conv2d(in_chans, embed_dim, patch_size, patch_size)

    def forward(self, x):
        """(B, C, H, W) to (B, patches, embed_dim)."""
        return self.proj(x).flatten(2).transpose(1, 2)


class Attention(nn.Module):
    def __init__(self, dim, num_heads):
        super().__init__()
        self.num_heads = num_heads
        self.scale = (dim // num_heads) ** -0.5
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def heads(self, x):
        """(B, tokens, n * embed_dim) to (n, B, num_heads, tokens, head_dim)."""
        b, tokens, _ = x.shape
        head_dim = self.proj.in_features // self.num_heads
        x = x.view(b, tokens, -1, self.num_heads, head_dim).permute(2, 0, 3, 1, 4)
        return x.contiguous()  # else each product copies for itself

    def qkv_of(self, x, queries):
        """Queries of the first tokens, keys and values of all."""
        if queries == x.shape[1]:
            return self.heads(self.qkv(x))
        d = x.shape[2]
        weight, bias = self.qkv.weight, self.qkv.bias
        q = self.heads(F.linear(x[:, :queries], weight[:d], bias[:d]))
        return *q, *self.heads(F.linear(x, weight[d:], bias[d:]))

    def forward(self, x, queries):
        """(B, tokens, embed_dim) to (B, queries, embed_dim)."""
        q, k, v = self.qkv_of(x, queries)
        attn = (q * self.scale @ k.transpose(-2, -1)).softmax(-1)
        return self.proj((attn @ v).transpose(1, 2).reshape(len(x), queries, -1))


class Mlp(nn.Module):
    def __init__(self, dim, hidden_dim):
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden_dim)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(hidden_dim, dim)

    def forward(self, x):
        """(B, tokens, embed_dim) to the same."""
        return self.fc2(self.act(self.fc1(x)))


class Block(nn.Module):
    def __init__(self, dim, num_heads, mlp_ratio):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = Attention(dim, num_heads)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = Mlp(dim, int(dim * mlp_ratio))

    def forward(self, x, queries):
        """(B, tokens, embed_dim) to (B, queries, embed_dim): of the first tokens."""
        x = x[:, :queries] + self.attn(self.norm1(x), queries)
        return x + self.mlp(self.norm2(x))


class VisionTransformer(nn.Module):
    """With a class token in front of the patches. global_pool says what the head reads: "token", the
    class token's output, or "avg", the mean of the patches', normalised after the pooling. With the class
    token the last block computes its output alone: nothing reads the others."""

    def __init__(self, img_size, patch_size, in_chans, embed_dim, depth, num_heads, mlp_ratio,
                 global_pool, num_classes):
        super().__init__()
        num_patches = (img_size // patch_size) ** 2
        self.cls_token = nn.Parameter(torch.zeros(1, 1, embed_dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, num_patches + 1, embed_dim))
        self.patch_embed = PatchEmbed(patch_size, in_chans, embed_dim)
        self.blocks = nn.ModuleList(Block(embed_dim, num_heads, mlp_ratio) for _ in range(depth))
        norm = nn.LayerNorm(embed_dim, eps=1e-6)
        avg = global_pool == "avg"
        self.norm = nn.Identity() if avg else norm
        self.fc_norm = norm if avg else nn.Identity()
        self.avg = avg
        self.head = nn.Linear(embed_dim, num_classes)
        self.init_weights()

    def init_weights(self):
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        nn.init.normal_(self.cls_token, std=1e-6)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)

    def features(self, x, kept=None):
        """(B, C, H, W) to (B, embed_dim), what the head reads. kept: indices (B, n) of the patches to
        look at; None: all."""
        x = self.patch_embed(x) + self.pos_embed[:, 1:]
        if kept is not None:
            x = x.gather(1, kept[:, :, None].expand(-1, -1, x.shape[2]))
        x = torch.cat([(self.cls_token + self.pos_embed[:, :1]).expand(len(x), -1, -1), x], 1)
        for block in self.blocks[:-1]:
            x = block(x, x.shape[1])
        x = self.norm(self.blocks[-1](x, x.shape[1] if self.avg else 1))
        return self.fc_norm(x[:, 1:].mean(1) if self.avg else x[:, 0])

    def forward(self, x):
        """(B, C, H, W) to (B, num_classes)."""
        return self.head(self.features(x))
