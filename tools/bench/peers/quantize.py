"""Quantizes a float32 ONNX graph as onnxruntime's quantize_dynamic does with per_channel and
reduce_range: linear layers in integers of 8 bits, the scale of the activations computed in each pass.

Written here because Debian has no package of onnxruntime and npm's has the library only.

The range of the weights is reduced to 7 bits, as onnxruntime's documentation advises: on processors
without VNNI its kernels add pairs of products in 16 bits, which saturate where weights have all 8.
"""
import numpy as np
from onnx import TensorProto, helper, numpy_helper

RANGE = 64  # quantize_dynamic's reduced range is -64 to 64


def quantize_weights(weights):
    """(int8 values, scale of each output) of a matrix (inputs, outputs), symmetric."""
    scales = np.abs(weights).max(axis=0) / np.float32(RANGE)
    scales[scales == 0] = 1
    return np.clip(np.rint(weights / scales), -RANGE, RANGE).astype(np.int8), scales


def constants(name, weights):
    """The constants of a layer in integers."""
    values, scales = quantize_weights(weights)
    arrays = {"weights": values, "scales": scales, "zeros": np.zeros(len(scales), np.int8)}
    return [numpy_helper.from_array(array, f"{name}_{key}") for key, array in arrays.items()]


def layer(node):
    """The nodes that a MatMul with constant weights becomes. ONNX Runtime makes one operator of them
    and of the addition of the bias after them."""
    name = node.output[0]
    made = helper.make_node
    return [
        made("DynamicQuantizeLinear", [node.input[0]], [name + "_u8", name + "_scale",
                                                        name + "_zero"]),
        made("MatMulInteger", [name + "_u8", name + "_weights", name + "_zero", name + "_zeros"],
             [name + "_i32"]),
        made("Cast", [name + "_i32"], [name + "_f32"], to=TensorProto.FLOAT),
        made("Mul", [name + "_scale", name + "_scales"], [name + "_both"]),
        made("Mul", [name + "_f32", name + "_both"], [name]),
    ]


def quantize(model):
    """Quantize all MatMuls with constant weights of a graph, in place: the linear layers but the
    head, which PyTorch exports as a Gemm. Returns how many."""
    graph = model.graph
    known = {tensor.name: tensor for tensor in graph.initializer}
    nodes, gone, count = [], set(), 0
    for node in graph.node:
        if node.op_type == "MatMul" and node.input[1] in known:
            weights = numpy_helper.to_array(known[node.input[1]])
            graph.initializer.extend(constants(node.output[0], weights))
            nodes.extend(layer(node))
            gone.add(node.input[1])
            count += 1
        else:
            nodes.append(node)
    kept = [tensor for tensor in graph.initializer if tensor.name not in gone]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend(kept)
    return count
