#!/usr/bin/env python3
"""Makes imagenet_labels.h: the names of ImageNet-1k's classes as torchvision has them.

    apt install python3-torchvision
    /usr/bin/python3 tools/convert/make_imagenet_labels.py > tools/convert/imagenet_labels.h
"""
import json

from torchvision.models._meta import _IMAGENET_CATEGORIES as names

assert len(names) == 1000 and all(name.isascii() and name.isprintable() for name in names)

print("/* The classes of ImageNet-1k as torchvision names them (BSD 3-Clause, Copyright (c) Soumith")
print("   Chintala 2016). Made by make_imagenet_labels.py. */")
print("#ifndef IMAGENET_LABELS_H")
print("#define IMAGENET_LABELS_H")
print()
print("static const char *const imagenet_labels[1000] = {")
for name in names:
    print("    " + json.dumps(name) + ",")
print("};")
print()
print("#endif")
