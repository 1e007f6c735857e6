"""Plots of a run in SVG: loss and accuracy over the epochs."""

WIDTH, HEIGHT, LEFT, TOP, GAP = 360, 200, 52, 34, 70  # of a panel's axes, and what is around them
STYLE = """<style>
text { font: 13px sans-serif; fill: #1f2328 } .paper { fill: #ffffff } .head { font-weight: bold }
path { fill: none; stroke-width: 1.5; stroke: #8b949e } .axis { stroke-width: 0.5 }
.test { stroke: #2f81f7 }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .paper { fill: #0d1117 } }
</style>
"""


def words(x, y, text, attributes=""):
    return f'<text x="{x:.0f}" y="{y:.0f}"{attributes}>{text}</text>\n'


def line(values, low, high, left, kind):
    """A curve over the tests, from the first to the last."""
    step, scale = WIDTH / max(1, len(values) - 1), HEIGHT / (high - low)
    points = (f"{left + i * step:.1f} {TOP + (high - value) * scale:.1f}"
              for i, value in enumerate(values))
    return f'<path class="{kind}" d="M{"L".join(points)}"/>\n'


def axes(low, high, epochs, left, form):
    """The frame with its lowest, middle and highest value, and the first and last of the epochs."""
    parts = [f'<path class="axis" d="M{left} {TOP}h{WIDTH}v{HEIGHT}h{-WIDTH}z"/>\n']
    for value, y in ((high, 0), ((low + high) / 2, HEIGHT / 2), (low, HEIGHT)):
        parts.append(words(left - 6, TOP + y + 4, form.format(value), ' text-anchor="end"'))
    parts.append(words(left, TOP + HEIGHT + 18, epochs[0]))
    parts.append(words(left + WIDTH, TOP + HEIGHT + 18, f"epoch {epochs[1]}", ' text-anchor="end"'))
    return "".join(parts)


def panel(title, curves, epochs, left, form):
    """curves: {kind: values of each test}. The axis goes from the least to the greatest value."""
    values = [value for curve in curves.values() for value in curve]
    low, high = min(values), max(values)
    high = high if high > low else low + 1
    parts = [words(left, TOP - 12, title, ' class="head"'),
             axes(low, high, epochs, left, form)]
    parts += [line(curve, low, high, left, kind) for kind, curve in curves.items()]
    return "".join(parts)


def svg(history):
    """history: a dictionary for each test, as train.py keeps it."""
    epochs = (history[0]["epoch"], history[-1]["epoch"])
    curves = {key: [row[key] for row in history]
              for key in ("train_loss", "test_loss", "test_accuracy")}
    right, width, height = LEFT + WIDTH + GAP, 2 * (LEFT + WIDTH) + GAP, TOP + HEIGHT + 30
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    title = "Loss: training (grey), test (blue)"
    return (f'<svg xmlns="http://www.w3.org/2000/svg" {size}>\n<title>{title}</title>\n{STYLE}'
            f'<rect class="paper" width="100%" height="100%"/>\n'
            + panel(title, {"train": curves["train_loss"], "test": curves["test_loss"]},
                    epochs, LEFT, "{:.2f}")
            + panel("Accuracy: test", {"test": curves["test_accuracy"]}, epochs, right,
                    "{:.1%}")
            + "</svg>\n")
