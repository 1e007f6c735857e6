"""Checks that vit-convert makes the same file of every container of the same weights.

    containers.py BUILD
    containers.py BUILD --measure FOLDER

BUILD is the folder with the programs. What torch.save, numpy and vit.cpp's script write of a model is
converted and compared with the file of the same weights in safetensors, byte by byte. Prints a line
for each container, then 'N passed, N failed'.

--measure writes ViT-B into FOLDER and prints what its conversion takes: processor time, and the most
memory of the program's own, beyond the files that it maps.
"""
import json
import os
import resource
import subprocess
import sys
import tempfile
import time

import torch

import container_io
from plain_vit import Config, PlainViT, randomise
from programs import Programs

LABELS = ["tench", "goldfish", "great white shark", "hen", "Käfer"]


def small_model():
    """(config, tensors) of a model of two blocks. One norm is all the same number, see odd_strides."""
    config = Config(img_size=(32, 32), patch_size=(8, 8), num_classes=5, embed_dim=48, depth=2,
                    num_heads=3, mlp_dim=100)
    state = randomise(PlainViT(config), 1).state_dict()
    state["norm.weight"] = torch.full_like(state["norm.weight"], 0.75)
    return config, {name: t.clone() for name, t in state.items()}


def folder_of(folder, name):
    """A folder for a container's files; all of them have one name, which a .vit file keeps."""
    return os.path.join(folder, name.replace("/", "-").replace(".", ""), "model")


def convert(programs, folder, options, source):
    """The bytes of the .vit file that a path is converted to."""
    target = os.path.join(folder, "model.vit")
    programs.convert(options, source, target)
    with open(target, "rb") as file:
        return file.read()


def problem_of(programs, folder, options, source, want):
    """What is wrong with a container; nothing where all is well."""
    try:
        got = convert(programs, folder, options, source)
    except RuntimeError as error:
        return str(error)
    differs = next((i for i, (a, b) in enumerate(zip(got, want)) if a != b), len(want))
    return "" if got == want else f"the files differ from byte {differs} on"


def float32_cases(programs, folder, config, state):
    """(name, problem) of all that hold the same float32."""
    options = ["--heads", config.num_heads, "--size", config.img_size[0]]
    source = container_io.write_safetensors(folder_of(folder, "safetensors"), state)
    want = convert(programs, folder, options, source)
    for name, write in container_io.WRITERS.items():
        source = write(folder_of(folder, name), state)
        yield name, problem_of(programs, folder, options, source, want)


def half_cases(programs, folder, config, state):
    """(name, problem) of half precision, and of what has no place in a model."""
    options = ["--heads", config.num_heads, "--size", config.img_size[0]]
    for dtype in (torch.float16, torch.bfloat16):
        halves = {name: t.to(dtype) for name, t in state.items()}
        name = f"{dtype}"
        source = container_io.write_safetensors(folder_of(folder, name), halves)
        want = convert(programs, folder, options, source)
        writers = dict(zip=container_io.write_zip, legacy=container_io.write_legacy,
                       strides=container_io.write_strides)
        if dtype == torch.float16:
            writers["npz"] = container_io.write_npz
        for kind, write in writers.items():
            source = write(folder_of(folder, name + kind), halves)
            yield f"{name}, {kind}", problem_of(programs, folder, options, source, want)


def vit_cpp_config(config):
    """What vit.cpp's file says, in timm's form."""
    return {
        "model_args": {"num_heads": config.num_heads, "img_size": config.img_size[0],
                       "embed_dim": config.embed_dim, "depth": config.depth,
                       "patch_size": config.patch_size[0]},
        "num_classes": config.num_classes,
        "id2label": {str(i): label for i, label in enumerate(LABELS)},
    }


def vit_cpp_cases(programs, folder, config, state):
    """(name, problem) of vit.cpp's file, beside a config.json that says the same."""
    for half in (False, True):
        name = f"vit.cpp, {'f16' if half else 'f32'}"
        place = os.path.join(folder_of(folder, name), "model")
        container_io.write_safetensors(place, container_io.vit_cpp_state(state, half))
        with open(os.path.join(place, "config.json"), "w", encoding="utf-8") as file:
            json.dump(vit_cpp_config(config), file)
        want = convert(programs, folder, [], place)
        source = container_io.path_in(folder_of(folder, name + " file"), "model.bin")
        container_io.write_vit_cpp(source, state, config, LABELS, half)
        yield name, problem_of(programs, folder, [], source, want)


def key_cases(programs, folder, config, state):
    """(name, problem) of --key, where the rule takes another."""
    options = ["--heads", config.num_heads, "--size", config.img_size[0]]
    write = container_io.nested_writer("student", ["teacher", "model"])
    want = convert(programs, folder, options,
                   container_io.write_safetensors(folder_of(folder, "key"), state))
    source = write(folder_of(folder, "key student"), state)
    yield "--key student", problem_of(programs, folder, ["--key", "student", *options], source, want)
    write = container_io.nested_writer("other", ["model"], wrap="inner")
    source = write(folder_of(folder, "key inner"), state)
    yield "--key other/inner", problem_of(programs, folder, ["--key", "other/inner", *options],
                                          source, want)


def check(programs):
    """Run all cases, a line for each. Returns how many failed."""
    config, state = small_model()
    counts = [0, 0]
    with tempfile.TemporaryDirectory() as folder:
        for cases in (float32_cases, half_cases, vit_cpp_cases, key_cases):
            for name, problem in cases(programs, folder, config, state):
                counts[bool(problem)] += 1
                print(f"{name:40} {'FAIL ' + problem if problem else 'ok'}", flush=True)
    print(f"{counts[0]} passed, {counts[1]} failed")
    return counts[1]


# ---- measuring -------------------------------------------------------------------------------


def own_memory(process):
    """The most kB of memory that a process has beside the files that it maps."""
    most = 0
    while process.poll() is None:
        try:
            with open(f"/proc/{process.pid}/status", encoding="ascii") as file:
                for line in file:
                    if line.startswith("RssAnon:"):
                        most = max(most, int(line.split()[1]))
        except (OSError, ValueError):
            pass
        time.sleep(0.002)
    return most


def measure_one(programs, folder, source):
    """(seconds of processor time, MB of own memory) of a conversion."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [os.path.join(programs.build, "vit-convert"), source, os.path.join(folder, "b.vit")]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        own = own_memory(process)
        if process.wait() != 0:
            raise RuntimeError(f"{source} is not converted")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, own / 1024


def measure(programs, folder):
    """ViT-B in each container, three times."""
    state = randomise(PlainViT(Config(embed_dim=768, num_heads=12, mlp_dim=3072)), 1).state_dict()
    writers = {"safetensors": container_io.write_safetensors, **container_io.WRITERS}
    for name in ("safetensors", "safetensors, float64", "PyTorch", "PyTorch before 1.6", "PyTorch, odd strides",
                 "NumPy .npz", "NumPy .npz, deflated"):
        source = writers[name](folder_of(folder, name), state)
        runs = [measure_one(programs, folder, source) for _ in range(3)]
        best = [min(values) for values in zip(*runs)]
        size = os.path.getsize(source) / 2**20
        print(f"{name:24} {size:5.0f} MB  {best[0]:5.2f} s  own memory {best[1]:4.0f} MB",
              flush=True)
        os.remove(source)


def main():
    """Check or measure."""
    torch.set_grad_enabled(False)
    torch.set_num_threads(2)
    programs = Programs(sys.argv[1])
    if sys.argv[2:3] == ["--measure"]:
        measure(programs, sys.argv[3])
        return 0
    return check(programs) > 0


if __name__ == "__main__":
    sys.exit(main())
