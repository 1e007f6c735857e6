"""Shows the results: tables in Markdown, a plot in SVG."""
import datetime
import json
import os
import subprocess
from statistics import median

from contestants import ENDINGS, FLOAT32, NAMES, model_path
from sizes import SIZES, TITLES, gflop, parameters


# ---- where and with what ----


def processor():
    """Its name."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        lines = [line.partition(":") for line in file]
    return next((value.strip() for key, _, value in lines if key.strip() == "model name"),
                os.uname().machine)


def about(folder):
    """Day, machine and versions."""
    package = os.path.join(folder, "node_modules", "onnxruntime-node", "package.json")
    with open(package, encoding="utf-8") as file:
        runtime = json.load(file)["version"]
    query = ["dpkg-query", "-W", "-f", "${Version}", "python3-torch"]
    torch = subprocess.run(query, stdout=subprocess.PIPE, check=True).stdout.decode()
    return {"date": datetime.date.today().isoformat(), "processor": processor(),
            "cores": os.cpu_count(), "ort": runtime, "torch": torch.partition("+")[0]}


def full_names(results):
    """The contestants' names with their versions."""
    versions = {"ort": results["about"]["ort"], "eager": results["about"]["torch"],
                "frozen": results["about"]["torch"], "vit": ""}
    names = {}
    for key, name in NAMES.items():
        product, comma, rest = name.partition(",")
        names[key] = f"{product} {versions[key.partition('-')[0]]}".strip() + comma + rest
    return names


def file_sizes(folder, names, sizes):
    """Bytes of the models' files, {size: {name: bytes}}; none of PyTorch, which has no such form."""
    return {size: {name: os.path.getsize(model_path(name, folder, size)) for name in names
                   if name.partition("-")[0] in ENDINGS} for size in sizes}


# ---- tables ----


def thread_count(threads):
    """In words."""
    return "1 thread" if threads == 1 else f"{threads} threads"


def table(head, rows):
    """A Markdown table of texts."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def short(value):
    """With three digits, or more if there are more before the point."""
    return f"{value:.{max(0, 3 - len(str(int(value))))}f}"


def floor_ms(entry):
    """Milliseconds that the arithmetic takes at the FMA peak; 0 if the peak is not known."""
    peak = median(entry["peak_gflops"])
    return gflop(entry["size"], 1) / peak * 1e3 if peak > 0 else 0


def share(entry, name):
    """The share of the FMA peak, by the contestant's own arithmetic; empty if no peak is known."""
    peak = median(entry["peak_gflops"])
    work = gflop(entry["size"], 1) if name == "vit" else gflop(entry["size"])
    return f", {work / median(entry['ms'][name]) * 1e5 / peak:.0f} %" if peak > 0 else ""


def ratio(values, ours):
    """Median ratio of two contestants, round by round, so that the machine's drift cancels."""
    return median(a / b for a, b in zip(values, ours))


def comparisons(names):
    """Pairs (a, b): the time of a is given as a multiple of that of b. Others' types are compared with
    vit.h's own, vit.h's float32 with its other types."""
    for name in names[1:]:
        if name.startswith("vit-"):
            yield "vit", name
        elif name in FLOAT32:
            yield name, "vit"
        elif (same := f"vit-{name.partition('-')[2]}") in names:
            yield name, same


def passes_table(results):
    """Forward passes."""
    entries, names = results["passes"], full_names(results)
    head = [f"{TITLES[e['size']]}, {thread_count(e['threads'])}" for e in entries]
    rows = []
    for name in entries[0]["ms"]:
        cells = [f"{short(median(e['ms'][name]))} / {short(min(e['ms'][name]))}"
                 + (share(e, name) if name in ("vit", "ort") else "") for e in entries]
        rows.append([names[name], *cells])
    if all(floor_ms(e) > 0 for e in entries):
        rows.append(["vit.h's arithmetic at the FMA peak", *(short(floor_ms(e)) for e in entries)])
    for name, base in comparisons(list(entries[0]["ms"])):
        cells = [f"{ratio(e['ms'][name], e['ms'][base]):.2f}" for e in entries]
        rows.append([f"{names[name]}: time / that of {names[base]}", *cells])
    return table(["ms: median / minimum, share of the FMA peak", *head], rows)


def cold_table(results):
    """Whole processes."""
    entries, names = results["cold"], full_names(results)
    head = ["whole process, 1 thread", *(TITLES[e["size"]] for e in entries)]
    rows = [[names[name], *(f"{short(median(e['ms'][name]))} ms, {median(e['mb'][name]):.0f} MB"
                            for e in entries)] for name in entries[0]["ms"]]
    return table(head, rows)


def batches_table(results):
    """Batches."""
    entries = results["batches"]
    kinds = {"batch": "a batch of 8 on 2 threads",
             "processes": "two processes, a batch of 4 on 1 thread each"}
    rows = [[title, *(short(median(e["per_second"][kind])) for e in entries)]
            for kind, title in kinds.items()]
    rows.append(["ratio", *(f"{ratio(e['per_second']['batch'], e['per_second']['processes']):.3f}"
                            for e in entries)])
    return table(["vit.h, pictures a second", *(TITLES[e["size"]] for e in entries)], rows)


def files_table(results):
    """Files."""
    files, names = results["files"], full_names(results)
    rows = [[names[name], *(f"{files[size][name] / 1e6:.1f} MB, "
                            f"{files[size][name] / parameters(size):.2f}" for size in files)]
            for name in next(iter(files.values()))]
    return table(["file, bytes a parameter", *(TITLES[size] for size in files)], rows)


def worst_errors(results):
    """name: the largest difference of a logit in the run."""
    entries = results["passes"]
    return {name: max(entry["errors"][name] for entry in entries) for name in entries[0]["errors"]}


def error_text(results):
    """How far the logits are from vit.h's in float32."""
    errors, names = worst_errors(results), full_names(results)
    float32 = max(error for name, error in errors.items() if name in FLOAT32)
    others = "".join(f"; {error:.2g} in {names[name]}" for name, error in errors.items()
                     if name not in FLOAT32)
    return ("Largest difference of a logit from vit.h's in float32, relative to the largest logit: "
            f"{float32:.1e} in float32{others}.")


def markdown(results):
    """All tables, and how they were measured."""
    facts = results["about"]
    rounds = len(results["passes"][0]["peak_gflops"])
    text = (f"Measured on {facts['date']}, {facts['cores']} cores of {facts['processor']}, "
            f"random weights, float32 unless the row says otherwise, batch 1, {rounds} rounds. "
            f"{error_text(results)} Each share of the FMA peak counts the contestant's own arithmetic: "
            "vit.h computes the last block for token 0 alone.\n")
    return "\n".join([text, passes_table(results), cold_table(results), batches_table(results),
                      files_table(results)])


# ---- plot ----

LEFT, COLUMN, ROW, TOP, GROUP = 186, 226, 22, 34, 26
STYLE = """<style>
rect { fill: #8b949e } text { font: 13px sans-serif; fill: #1f2328 }
.paper { fill: #ffffff } .ours { fill: #2f81f7 } .head { font-weight: bold }
.floor { stroke: #d1242f; stroke-width: 1.5; stroke-dasharray: 3 2 }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .paper { fill: #0d1117 } }
</style>
"""


def words(x, y, text, attributes=""):
    """A line of text."""
    return f'<text x="{x:.0f}" y="{y:.0f}"{attributes}>{text}</text>\n'


def bars(entry, scale, x, y):
    """A column of one group: a bar for each contestant, and the floor across them."""
    parts = []
    for i, (name, times) in enumerate(entry["ms"].items()):
        top, length = y + i * ROW, median(times) * scale
        kind = ' class="ours"' if name.startswith("vit") else ""
        parts.append(f'<rect x="{x}" y="{top}" width="{length:.1f}" height="{ROW - 6}"{kind}/>\n')
        parts.append(words(x + length + 5, top + 13, short(median(times))))
    line, bottom = x + floor_ms(entry) * scale, y + len(entry["ms"]) * ROW - 4
    if line > x:
        parts.append(f'<path class="floor" d="M{line:.1f} {y - 2}V{bottom}"/>\n')
    return "".join(parts)


def group(entries, names, y, scales):
    """All columns of one number of threads, with the contestants' names in front."""
    parts = [words(10, y - 6, thread_count(entries[0]["threads"]), ' class="head"')]
    for i, name in enumerate(entries[0]["ms"]):
        parts.append(words(LEFT - 8, y + i * ROW + 13, names[name], ' text-anchor="end"'))
    for i, entry in enumerate(entries):
        parts.append(bars(entry, scales[entry["size"]], LEFT + i * COLUMN, y))
    return "".join(parts)


def svg(results):
    """Bars of the medians: a column for each model, with a scale of its own."""
    entries, names = results["passes"], full_names(results)
    sizes = [size for size in SIZES if any(e["size"] == size for e in entries)]
    longest = {size: max(median(times) for e in entries if e["size"] == size
                         for times in e["ms"].values()) for size in sizes}
    scales = {size: (COLUMN - 50) / longest[size] for size in sizes}
    height = GROUP + len(entries[0]["ms"]) * ROW
    parts = [words(LEFT + i * COLUMN, 20, TITLES[size], ' class="head"')
             for i, size in enumerate(sizes)]
    for i, threads in enumerate((1, 2)):
        chosen = [e for size in sizes for e in entries
                  if e["size"] == size and e["threads"] == threads]
        parts.append(group(chosen, names, TOP + GROUP + i * height, scales))
    note = ("Milliseconds a picture, batch 1, medians; dashed: vit.h's arithmetic in float32 at the "
            "processor's FMA peak")
    bottom, facts = TOP + 2 * height + 20, results["about"]
    parts.append(words(10, bottom, note))
    parts.append(words(10, bottom + 18, f"{facts['processor']}, {facts['date']}"))
    width = max(LEFT + len(sizes) * COLUMN + 10, 690)
    size = f'width="{width}" height="{bottom + 28}" viewBox="0 0 {width} {bottom + 28}"'
    return (f'<svg xmlns="http://www.w3.org/2000/svg" {size}>\n<title>{note}</title>\n{STYLE}'
            f'<rect class="paper" width="100%" height="100%"/>\n{"".join(parts)}</svg>\n')
