"""The models that are compared: patches of 16, 224 x 224, 12 blocks, 1000 classes."""

SIZES = {
    "ti": {"embed_dim": 192, "num_heads": 3, "mlp_dim": 768},
    "s": {"embed_dim": 384, "num_heads": 6, "mlp_dim": 1536},
    "b": {"embed_dim": 768, "num_heads": 12, "mlp_dim": 3072},
}
TITLES = {"ti": "ViT-Ti/16", "s": "ViT-S/16", "b": "ViT-B/16"}
TOKENS, BLOCKS = 197, 12


def parameters(size):
    """Their number."""
    dim, mlp = SIZES[size]["embed_dim"], SIZES[size]["mlp_dim"]
    block = 4 * dim * (dim + 1) + 2 * dim * mlp + mlp + dim + 4 * dim
    outer = (3 * 16 * 16 + 1) * dim + (1 + TOKENS) * dim + 2 * dim
    return BLOCKS * block + outer + (dim + 1) * 1000


def gflop(size, last=TOKENS):
    """GFLOP of all products for a picture. last: number of tokens that the last block is computed for,
    all of them or the one that the head reads."""
    dim, mlp = SIZES[size]["embed_dim"], SIZES[size]["mlp_dim"]
    rows = TOKENS * (BLOCKS - 1) + last
    products = (TOKENS - 1) * 3 * 16 * 16 * dim  # patches
    products += (rows + 2 * TOKENS * BLOCKS) * dim * dim  # q; k and v
    products += rows * 2 * TOKENS * dim  # attention
    products += rows * (dim + 2 * mlp) * dim  # proj, fc1, fc2
    return 2e-9 * (products + dim * 1000)
