"""Writes and reads .vit files, from the description of the format in vit.h and nothing else.

A model is a header (a dictionary of the fields below), labels, and tensors: numpy arrays under the
key (role name, block), without padding. A matrix comes with its bias, as a pair of float32, or as
Stored: with padding and in the file's own numbers.
"""
import struct
from dataclasses import dataclass

import numpy as np

MAGIC = bytes([0x89, 0x56, 0x49, 0x54, 0x0D, 0x0A, 0x1A, 0x0A])
HEADER_SIZE, ENTRY_SIZE = 384, 48
OUTER = ["patch_embed", "prefix_tokens", "pos_embed", "norm_pre"]
LAST = ["norm", "pre_logits", "head", "patch_norm", "embed_norm"]
BLOCK = ["norm1", "q", "k", "v", "q_norm", "k_norm", "proj", "norm2", "fc1", "fc2"]
ROLES = OUTER + BLOCK + LAST
DTYPES = ["f32", "f16", "bf16", "int8", "int4"]
GROUP = 32  # inputs that share a scale of int4

# Name, offset, struct format of the config's and the recipe's fields.
FIELDS = [
    ("img_size", 64, "2I"),
    ("patch_size", 72, "2I"),
    ("in_chans", 80, "I"),
    ("num_classes", 84, "I"),
    ("embed_dim", 88, "I"),
    ("depth", 92, "I"),
    ("num_heads", 96, "I"),
    ("head_dim", 100, "I"),
    ("mlp_dim", 104, "I"),
    ("prefix_tokens", 108, "I"),
    ("head_tokens", 112, "I"),
    ("head_avg", 116, "I"),
    ("final_norm", 120, "I"),
    ("pre_logits", 124, "I"),
    ("act", 128, "I"),
    ("norm_eps", 132, "f"),
    ("resize", 136, "I"),
    ("resize_size", 140, "2I"),
    ("interpolation", 148, "I"),
    ("crop", 152, "I"),
    ("rescale", 156, "f"),
    ("mean", 160, "4f"),
    ("std", 176, "4f"),
    ("architecture", 192, "64s"),
    ("output", 256, "I"),
    ("norm_pre", 260, "I"),
    ("qk_norm", 264, "I"),
    ("post_norm", 268, "I"),
    ("pos_size", 272, "2I"),
    ("patch_norm", 280, "I"),
    ("embed_norm", 284, "I"),
    ("pos_resample", 288, "I"),
    ("crop_pct", 292, "f"),
    ("reject_below", 296, "f"),
    ("pre_logits_l2", 300, "I"),
    ("spare", 304, "80s"),
]
RECIPE = dict(
    resize=1,
    resize_size=(248, 248),
    interpolation=1,
    crop=0,
    rescale=255.0,
    mean=(0.485, 0.456, 0.406, 0.0),
    std=(0.229, 0.224, 0.225, 1.0),
)
ABSENT = dict(
    output=0,
    norm_pre=0,
    qk_norm=0,
    post_norm=0,
    pos_size=(0, 0),
    patch_norm=0,
    embed_norm=0,
    pos_resample=0,
    crop_pct=0.0,
    reject_below=0.0,
    pre_logits_l2=0,
    spare="",
)


@dataclass
class Stored:
    """A matrix [N][K], padded. numbers: float32, float16, the bits of bfloat16, or integers. scale:
    [N] of int8, [N][G] of int4 as float16."""

    dtype: str
    range: int
    numbers: np.ndarray
    bias: np.ndarray
    scale: np.ndarray = None

    def weights(self):
        """The weights as float64."""
        if self.dtype == "bf16":
            return (self.numbers.astype("<u4") << 16).view("<f4").astype(np.float64)
        numbers = self.numbers.astype(np.float64)
        if self.dtype == "int8":
            return numbers * self.scale.astype(np.float64)[:, None]
        if self.dtype == "int4":
            scale = self.scale.astype(np.float64).repeat(GROUP, axis=1)
            return numbers * scale[:, : numbers.shape[1]]
        return numbers


def round_up(n, multiple):
    """n rounded up to a multiple."""
    return -(-n // multiple) * multiple


def rotate(x, bits):
    """32 bits rotated left."""
    return (x << bits | x >> (32 - bits)) & 0xFFFFFFFF


def xxh32(data):
    """XXH32 with seed 0, from xxHash's doc/xxhash_spec.md."""
    p1, p2, p3, p4, p5 = 2654435761, 2246822519, 3266489917, 668265263, 374761393
    mask, length, place = 0xFFFFFFFF, len(data), 0
    h = p5
    if length >= 16:
        a, b, c, d = (p1 + p2) & mask, p2, 0, -p1 & mask
        place = length // 16 * 16
        words = struct.unpack(f"<{place // 4}I", data[:place])
        for i in range(0, len(words), 4):
            a = (a + words[i] * p2) & mask
            a = ((a << 13 | a >> 19) * p1) & mask
            b = (b + words[i + 1] * p2) & mask
            b = ((b << 13 | b >> 19) * p1) & mask
            c = (c + words[i + 2] * p2) & mask
            c = ((c << 13 | c >> 19) * p1) & mask
            d = (d + words[i + 3] * p2) & mask
            d = ((d << 13 | d >> 19) * p1) & mask
        h = rotate(a, 1) + rotate(b, 7) + rotate(c, 12) + rotate(d, 18)
    h = (h + length) & mask
    for place in range(place, length - 3, 4):
        word = int.from_bytes(data[place : place + 4], "little")
        h = rotate((h + word * p3) & mask, 17) * p4 & mask
    for byte in data[length // 4 * 4 :]:
        h = rotate((h + byte * p5) & mask, 11) * p1 & mask
    h = ((h ^ h >> 15) * p2) & mask
    h = ((h ^ h >> 13) * p3) & mask
    return h ^ h >> 16


def keys(header):
    """The tensors' keys in the order of the directory."""
    header = {**ABSENT, **header}
    optional = ("norm_pre", "prefix_tokens", "pre_logits", "patch_norm", "embed_norm")
    absent = {role for role in optional if not header[role]}
    absent |= {"q_norm", "k_norm"} if not header["qk_norm"] else set()
    absent |= {"norm"} if header["final_norm"] == 2 else set()
    absent |= {"head"} if not header["num_classes"] else set()
    yield from ((role, 0) for role in OUTER if role not in absent)
    for block in range(header["depth"]):
        yield from ((role, block) for role in BLOCK if role not in absent)
    yield from ((role, 0) for role in LAST if role not in absent)


def row_shape(header, role):
    """(rows, cols) of a tensor stored as rows, None for a matrix."""
    dim = header["embed_dim"]
    patches, inputs = 1, header["in_chans"]
    for size, patch in zip(header["img_size"], header["patch_size"]):
        patches, inputs = patches * (size // patch), inputs * patch
    if any(header.get("pos_size", (0, 0))):
        patches = header["pos_size"][0] * header["pos_size"][1]
    if role in ("norm1", "norm2", "norm", "norm_pre", "embed_norm"):
        return 2, dim
    if role in ("q_norm", "k_norm"):
        return 2, header["head_dim"]
    if role == "patch_norm":
        return 2, inputs
    if role == "prefix_tokens":
        return header["prefix_tokens"], dim
    return (header["prefix_tokens"] + patches, dim) if role == "pos_embed" else None


def matrix_shape(header, role):
    """((parts, outputs of a part), (parts, inputs of a part)): each part is padded to 16."""
    h, dim = header, header["embed_dim"]
    heads = (h["num_heads"], h["head_dim"])
    pooled = (h["head_tokens"] + (h["head_avg"] > 0), dim)
    patch = h["in_chans"] * h["patch_size"][0] * h["patch_size"][1]
    return {
        "patch_embed": ((1, dim), (1, patch)),
        "q": (heads, (1, dim)),
        "k": (heads, (1, dim)),
        "v": (heads, (1, dim)),
        "proj": ((1, dim), heads),
        "fc1": ((2 if h["act"] == 3 else 1, h["mlp_dim"]), (1, dim)),
        "fc2": ((1, dim), (1, h["mlp_dim"])),
        "pre_logits": ((1, h["pre_logits"]), pooled),
        "head": ((1, h["num_classes"]), (1, h["pre_logits"]) if h["pre_logits"] else pooled),
    }[role]


def pad_parts(array, axis, parts, size):
    """Pad each of the parts along an axis to a multiple of 16, with zeros."""
    split = array.reshape(array.shape[:axis] + (parts, size) + array.shape[axis + 1 :])
    widths = [(0, 0)] * split.ndim
    widths[axis + 1] = (0, round_up(size, 16) - size)
    size = (parts * round_up(size, 16),)
    return np.pad(split, widths).reshape(array.shape[:axis] + size + array.shape[axis + 1 :])


def cut_parts(array, axis, parts, size):
    """Undo pad_parts; what is cut off has to be zero."""
    shape = array.shape[:axis] + (parts, round_up(size, 16)) + array.shape[axis + 1 :]
    whole, rest = np.split(array.reshape(shape), [size], axis=axis + 1)
    require(not rest.any(), "padding is not zero")
    return whole.reshape(array.shape[:axis] + (parts * size,) + array.shape[axis + 1 :])


def pack_rows(shape, value):
    """The bytes of a tensor stored as rows."""
    data = pad_parts(np.asarray(value, "<f4").reshape(shape), 1, 1, shape[1]).tobytes()
    return data + bytes(-len(data) % 64)


def pack_panels(stored):
    """The panels of a matrix as they are in the file."""
    numbers, (n, k) = stored.numbers, stored.numbers.shape
    if stored.dtype == "int8":
        return numbers.astype("i1").reshape(n // 16, 16, k // 4, 4).transpose(0, 2, 1, 3)
    if stored.dtype == "int4":
        nibbles = (numbers + 8).astype("u1").reshape(n // 16, 16, k // 8, 2, 4)
        low, high = nibbles.transpose(3, 0, 2, 1, 4)
        return low | high << 4
    return numbers.reshape(n // 16, 16, k).transpose(0, 2, 1)


def pack_matrix(stored):
    """The bytes of a matrix."""
    data = pack_panels(stored).tobytes() + stored.bias.tobytes()
    if stored.dtype == "int8":
        sums = stored.numbers.astype(np.int64).sum(axis=1).astype("<i4")
        data += stored.scale.tobytes() + sums.tobytes()
    if stored.dtype == "int4":
        n, groups = stored.scale.shape
        data += stored.scale.reshape(n // 16, 16, groups).transpose(0, 2, 1).tobytes()
    return data + bytes(-len(data) % 64)


def store(header, role, value):
    """A matrix and its bias as Stored, of float32."""
    outputs, inputs = matrix_shape(header, role)
    weight, bias = (np.asarray(part, "<f4") for part in value)
    weight = weight.reshape(outputs[0] * outputs[1], inputs[0] * inputs[1])
    weight = pad_parts(pad_parts(weight, 0, *outputs), 1, *inputs)
    return Stored("f32", 0, weight, pad_parts(bias.reshape(outputs[0] * outputs[1]), 0, *outputs))


def pack(header, role, value):
    """(dtype, order, rows, cols, range, bytes) of a tensor."""
    shape = row_shape(header, role)
    if shape:
        return 0, 0, *shape, 0, pack_rows(shape, value)
    outputs, inputs = matrix_shape(header, role)
    stored = value if isinstance(value, Stored) else store(header, role, value)
    rows, cols = outputs[0] * outputs[1], inputs[0] * inputs[1]
    return DTYPES.index(stored.dtype), 1, rows, cols, stored.range, pack_matrix(stored)


def unpack_rows(shape, data):
    """The rows that the bytes hold; padding is checked."""
    values = np.frombuffer(data, "<f4")
    count = shape[0] * round_up(shape[1], 16)
    require(not values[count:].any(), "padding is not zero")
    return cut_parts(values[:count].reshape(shape[0], round_up(shape[1], 16)), 1, 1, shape[1])


def unpack_panels(dtype, data, n, k):
    """The numbers of a matrix [N][K] from its panels."""
    if dtype == "int8":
        panels = np.frombuffer(data, "i1").reshape(n // 16, k // 4, 16, 4)
        return panels.transpose(0, 2, 1, 3).reshape(n, k)
    if dtype == "int4":
        panels = np.frombuffer(data, "u1").reshape(n // 16, k // 8, 16, 4)
        nibbles = np.stack([panels & 15, panels >> 4]).transpose(1, 3, 2, 0, 4)
        return nibbles.reshape(n, k).astype("i1") - np.int8(8)
    form = {"f32": "<f4", "f16": "<f2", "bf16": "<u2"}[dtype]
    return np.frombuffer(data, form).reshape(n // 16, k, 16).transpose(0, 2, 1).reshape(n, k)


def unpack_matrix(header, role, dtype, limit, data):
    """The Stored matrix that the bytes hold; padding and range are checked."""
    outputs, inputs = matrix_shape(header, role)
    n, k = (parts * round_up(size, 16) for parts, size in (outputs, inputs))
    groups = round_up(k, GROUP) // GROUP
    panels = n * k * {"f32": 32, "f16": 16, "bf16": 16, "int8": 8, "int4": 4}[dtype] // 8
    scales = {"int8": 8 * n, "int4": 2 * n * groups}.get(dtype, 0)
    require(len(data) == round_up(panels + 4 * n + scales, 64), "a matrix of another size")
    numbers = unpack_panels(dtype, data[:panels], n, k)
    stored = Stored(dtype, limit, numbers, np.frombuffer(data, "<f4", n, panels))
    after_bias = panels + 4 * n
    if dtype == "int8":
        require(limit in (63, 127) and k <= 2**17, "range")
        require(np.abs(numbers.astype(int)).max() <= limit, "a weight beyond its range")
        stored.scale = np.frombuffer(data, "<f4", n, after_bias)
    elif dtype == "int4":
        require(limit == 8, "range")
        scale = np.frombuffer(data, "<f2", n * groups, after_bias).reshape(n // 16, groups, 16)
        stored.scale = scale.transpose(0, 2, 1).reshape(n, groups)
    else:
        require(limit == 0, "range")
    cut_parts(cut_parts(numbers, 0, *outputs), 1, *inputs)
    cut_parts(stored.bias, 0, *outputs)
    if stored.scale is not None:
        cut_parts(stored.scale, 0, *outputs)
    return stored


def decode(header, role, stored):
    """(weight, bias) of a matrix as float32, without padding."""
    outputs, inputs = matrix_shape(header, role)
    weight = stored.weights().astype(np.float32)
    weight = cut_parts(cut_parts(weight, 0, *outputs), 1, *inputs)
    return weight, cut_parts(stored.bias, 0, *outputs)


def put(buffer, offset, form, *values):
    """Write little-endian values into a bytearray."""
    struct.pack_into("<" + form, buffer, offset, *values)


def write(path, header, tensors, labels=None):
    """Write a model. header: the config's fields; recipe and name have defaults."""
    header = {**RECIPE, **ABSENT, "architecture": "", **header}
    labels = b"".join(label.encode() + b"\0" for label in labels or [])
    packed = [(key, pack(header, key[0], tensors[key])) for key in keys(header)]
    labels_offset = HEADER_SIZE + ENTRY_SIZE * len(packed)
    head_size = round_up(labels_offset + len(labels), 64)
    head = bytearray(head_size)
    offset = head_size
    for i, ((role, block), (*kind, data)) in enumerate(packed):
        entry = (ROLES.index(role), block, *kind, xxh32(data), offset, len(data))
        put(head, HEADER_SIZE + ENTRY_SIZE * i, "8I2Q", *entry)
        offset += len(data)
    head[:8] = MAGIC
    put(head, 8, "4IQ", 1, 0, head_size, HEADER_SIZE, offset)
    put(head, 32, "4I", 0, ENTRY_SIZE, len(packed), HEADER_SIZE)
    put(head, 48, "4I", labels_offset, len(labels), 0, labels_offset)
    for name, place, form in FIELDS:
        value = header[name]
        value = value.encode() if isinstance(value, str) else value
        put(head, place, form, *(value if isinstance(value, (tuple, list)) else (value,)))
    head[labels_offset : labels_offset + len(labels)] = labels
    put(head, 12, "I", xxh32(bytes(head[16:])))
    with open(path, "wb") as file:
        file.write(head)
        for _, (*_, data) in packed:
            file.write(data)


def require(condition, what):
    """Raise ValueError unless the file is as described."""
    if not condition:
        raise ValueError(what)


def read_header(data):
    """The config's and the recipe's fields as a dictionary."""
    header = {}
    for name, place, form in FIELDS:
        values = struct.unpack_from("<" + form, data, place)
        header[name] = values if len(values) > 1 else values[0]
    require(not header.pop("spare").strip(b"\0"), "spare bytes")
    name, _, rest = header["architecture"].partition(b"\0")
    require(not rest.strip(b"\0"), "architecture is not filled up with NUL")
    header["architecture"] = name.decode()
    return header


def read_labels(data, count):
    """The labels; none where the file has none."""
    offset, size = struct.unpack_from("<2I", data, 48)
    if size == 0:
        return []
    parts = data[offset : offset + size].split(b"\0")
    require(parts.pop() == b"" and len(parts) == count, "another number of labels")
    return [part.decode() for part in parts]


def read_tensor(header, role, dtype, limit, body):
    """A tensor: rows, or a matrix as Stored."""
    shape = row_shape(header, role)
    if not shape:
        require(dtype < len(DTYPES), "dtype")
        return unpack_matrix(header, role, DTYPES[dtype], limit, body)
    require(dtype == 0 and limit == 0, "rows that are not of f32")
    return unpack_rows(shape, body)


def read_stored(path, checksums=True):
    """(header, tensors, labels) of a file without chunks, every rule of the format checked.
    Matrices are Stored."""
    with open(path, "rb") as file:
        data = file.read()
    require(data[:8] == MAGIC, "no magic")
    version, checksum, head_size, header_size, size = struct.unpack_from("<4IQ", data, 8)
    features, entry_size, count, directory = struct.unpack_from("<4I", data, 32)
    require((version, features, header_size) == (1, 0, HEADER_SIZE), "another version")
    require(size == len(data) and head_size % 64 == 0 and directory % 8 == 0, "sizes")
    require(checksum == xxh32(data[16:head_size]), "head_checksum")
    require(struct.unpack_from("<I", data, 56)[0] == 0, "chunks")
    header = read_header(data)
    expected = list(keys(header))
    require(count == len(expected) and entry_size == ENTRY_SIZE, "directory")
    tensors, place = {}, head_size
    for i, (role, block) in enumerate(expected):
        entry = struct.unpack_from("<8I2Q", data, directory + i * entry_size)
        body = data[entry[8] : entry[8] + entry[9]]
        require(entry[:2] == (ROLES.index(role), block), f"{role} {block}: order of the directory")
        require(entry[8] == place and entry[9] % 64 == 0, f"{role} {block}: offset or size")
        require(not checksums or entry[7] == xxh32(body), f"{role} {block}: checksum")
        tensors[role, block] = read_tensor(header, role, entry[2], entry[6], body)
        *kind, again = pack(header, role, tensors[role, block])
        require(entry[2:7] == tuple(kind), f"{role} {block}: entry")
        require(again == body, f"{role} {block}: padding or sums")
        place += entry[9]
    require(place == size, "bytes after the last tensor")
    return header, tensors, read_labels(data, header["num_classes"])


def read(path, checksums=True):
    """The same with each matrix as a pair of float32 arrays, weight and bias, without padding."""
    header, tensors, labels = read_stored(path, checksums)
    return header, {key: decode(header, key[0], value) if isinstance(value, Stored) else value
                    for key, value in tensors.items()}, labels
