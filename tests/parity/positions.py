"""Sine and cosine position embeddings, written from the papers."""
import numpy as np


def angles(positions, count):
    """(len(positions), count): each position times 10000 ** (-i / count)."""
    return np.outer(positions, 10000.0 ** (-np.arange(count) / count))


def sincos1d(rows, dim):
    """Vaswani et al. 2017, section 3.5: sine and cosine take turns; row 0 is the class token."""
    table = np.empty((rows, dim))
    table[:, 0::2] = np.sin(angles(np.arange(rows), dim // 2))
    table[:, 1::2] = np.cos(angles(np.arange(rows), dim // 2))
    return table


def sincos2d(height, width, dim, rows_first=False):
    """MAE: sines, then cosines, of the column, then both of the row; the class token has zeros.

    MoCo v3 puts the row in front of the column."""
    y, x = np.mgrid[:height, :width].reshape(2, -1)
    parts = []
    for place in (y, x) if rows_first else (x, y):
        parts += [np.sin(angles(place, dim // 4)), np.cos(angles(place, dim // 4))]
    return np.concatenate([np.zeros((1, dim)), np.concatenate(parts, axis=1)])
