"""What each type of weights costs and gives: accuracy, agreement with float32, file size, time.

    measure.py [--bench] [--dtypes f32,f16,...] BUILD

On fashion-mnist.vit with the 10,000 test pictures of Fashion-MNIST, and, where the environment's
VIT_TEST_DATA names a folder with them (see tests/parity/photos.py), on DeiT-Tiny with photos. Prints
a table for each in Markdown, and fails if a type misses what README promises for it.

int4 is also measured as vit-convert --calibrate makes it: DeiT-Tiny by one half of the photos for the
other half, and the other way round, so that no photo is measured that the weights were rounded by.

--bench times more carefully, and adds ONNX Runtime in float32 and in its dynamic int8. The latter has
one scale of activations for the whole tensor, so it gets batches of one picture.

Times are for single pictures, one after the other on one thread: the median over rounds in which each
type has one turn. All files stay in BUILD/accuracy.
"""
import argparse
import contextlib
import datetime
import filecmp
import os
import sys

import numpy as np
import torch

import subjects  # first: it adds the other folders to Python's path
import report
from contestants import Contestant, rotated, turn
from figures import CALIBRATED, Result, check, figures, markdown
from programs import Programs, dtype_options

DTYPES = ["f32", "f16", "bf16", "int8", "int8x", "int4"]
ROUNDS, BENCH_ROUNDS = 5, 20
ORT = ("ort", "ort-int8")
NAMES = {"ort": "ONNX Runtime", "ort-int8": "ONNX Runtime, int8",
         CALIBRATED: "vit.h, int4, calibrated"}


def convert(programs, subject, dtypes):
    """{dtype: model file}. RuntimeError if the converter refuses one."""
    models = {}
    for dtype in dtypes:
        models[dtype] = subject.path(f"{dtype}.vit")
        programs.convert(dtype_options(dtype), subject.checkpoint, models[dtype])
    return models


def export_onnx(subject):
    """{name: model file} for ONNX Runtime."""
    import export  # needs a package that nothing else here does

    models = {"ort": subject.path("model.onnx"), "ort-int8": subject.path("model-int8.onnx")}
    export.export_onnx(subject.module(), torch.from_numpy(subject.pixels[:1]), models["ort"])
    export.export_onnx_int8(models["ort"], subject.config.depth, models["ort-int8"])
    return models


def words(build, subject, name, model, pixels, threads, batch):
    """The command line of a contestant."""
    program = os.path.join(build, "peers", "peer-ort" if name in ORT else "peer-vit")
    return [program, model, subject.path(pixels), str(threads), str(batch), *subject.shape]


def logits_of(build, subject, name, model):
    """The logits of all pictures."""
    path = subject.path(f"{name}.logits")
    batch = 1 if name in ORT else 8
    with Contestant(words(build, subject, name, model, "pixels.f32", 2, batch)) as contestant:
        contestant.ask(f"all {path}")
    return np.fromfile(path, "<f4").reshape(len(subject.classes), -1)


def times_of(build, subject, models, rounds):
    """{name: milliseconds of a picture in each round}."""
    times = {name: [] for name in models}
    with contextlib.ExitStack() as stack:
        running = {name: stack.enter_context(Contestant(
            words(build, subject, name, model, "timed.f32", 1, 1))) for name, model in models.items()}
        for i in range(rounds):
            for name in rotated(list(models), i):
                times[name].append(turn(running[name], "all /dev/null") / subject.timed)
    return times


def convert_calibrated(programs, subject):
    """[model file]: int4 by each of the subject's folders of photos."""
    paths = []
    for folder in subject.photos:
        paths.append(subject.path(f"int4-calibrated-{len(paths)}.vit"))
        programs.convert([*dtype_options("int4"), "--calibrate", folder], subject.checkpoint, paths[-1])
    return paths


def calibrated_logits(build, subject, paths):
    """The logits of all pictures, each by the model whose photos it is not among."""
    parts = [logits_of(build, subject, CALIBRATED, path) for path in paths]
    index = np.arange(len(subject.classes))
    return np.stack(parts)[index % len(parts), index]


def measure(subject, arguments):
    """{name: figures}."""
    build, programs = arguments.build, Programs(arguments.build)
    models = convert(programs, subject, arguments.dtypes)
    if arguments.bench:
        models.update(export_onnx(subject))
    subject.pixels.tofile(subject.path("pixels.f32"))
    subject.pixels[:subject.timed].tofile(subject.path("timed.f32"))
    logits = {name: logits_of(build, subject, name, model) for name, model in models.items()}
    if "int4" in arguments.dtypes and subject.photos:
        calibrated = convert_calibrated(programs, subject)
        models[CALIBRATED] = calibrated[0]
        logits[CALIBRATED] = calibrated_logits(build, subject, calibrated)
    times = times_of(build, subject, models, BENCH_ROUNDS if arguments.bench else ROUNDS)
    results = {name: Result(logits[name], os.path.getsize(model), times[name])
               for name, model in models.items()}
    return {name: figures(result, results["f32"], subject.classes)
            for name, result in results.items()}


def the_subjects(build):
    """The subjects whose data are there."""
    places = {key: os.path.join(build, "accuracy", key) for key in ("fashion-mnist", "deit-tiny")}
    for place in places.values():
        os.makedirs(place, exist_ok=True)
    yield subjects.fashion_mnist(places["fashion-mnist"])
    data = os.environ.get("VIT_TEST_DATA")
    if data:
        yield subjects.deit_tiny(places["deit-tiny"], data)
    else:
        print("DeiT-Tiny: skipped, VIT_TEST_DATA is not set")


def check_shipped(subject):
    """Checks that the weights read back make the same file again; returns how many checks fail."""
    if subject.key != "fashion-mnist":
        return 0
    same = filecmp.cmp(subject.path("f32.vit"), subjects.SHIPPED, shallow=False)
    print(f"f32    the file that ships, converted again {'ok' if same else 'FAIL'}")
    return not same


def parse_arguments():
    """The command line. Everything is compared with float32, so it is always measured."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("build")
    parser.add_argument("--bench", action="store_true")
    parser.add_argument("--dtypes", type=lambda text: text.split(","), default=DTYPES)
    arguments = parser.parse_args()
    arguments.dtypes = ["f32"] + [dtype for dtype in arguments.dtypes if dtype != "f32"]
    return arguments


def main():
    """Measure and report. Exit status 0 if all bounds are kept."""
    arguments = parse_arguments()
    torch.set_grad_enabled(False)
    names = {dtype: f"vit.h, {dtype}" for dtype in arguments.dtypes} | NAMES
    failed = 0
    print(f"Measured on {datetime.date.today().isoformat()}, {report.processor()}")
    for subject in the_subjects(arguments.build):
        results = measure(subject, arguments)
        print(f"\n{markdown(subject.title, results, names)}")
        failed += check(subject.key, results, arguments.bench) + check_shipped(subject)
    sys.exit(f"FAILED: {failed} of the bounds are not kept" if failed else 0)


if __name__ == "__main__":
    main()
