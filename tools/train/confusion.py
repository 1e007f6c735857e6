"""What was taken for what: a table by class and the confusion matrix, in Markdown."""


def confusion_matrix(classes, found, count):
    """matrix[a][b]: how many pictures of class a were taken for class b."""
    matrix = [[0] * count for _ in range(count)]
    for right, answer in zip(classes, found):
        matrix[right][answer] += 1
    return matrix


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"


def percent(part, whole):
    return f"{100 * part / whole:.1f} %" if whole else "-"


def most_taken_for(row, right, labels):
    """The class that a class is mistaken for most often."""
    mistakes = [0 if i == right else n for i, n in enumerate(row)]
    most = max(mistakes)
    return f"{labels[mistakes.index(most)]} ({most})" if most else "-"


def class_table(matrix, labels):
    """Recall: of the pictures of a class, how many were found; precision: of those taken for it, how
    many are of it."""
    rows = []
    for i, label in enumerate(labels):
        right, taken = matrix[i][i], sum(row[i] for row in matrix)
        rows.append([label, sum(matrix[i]), percent(right, sum(matrix[i])), percent(right, taken),
                     most_taken_for(matrix[i], i, labels)])
    return table(["class", "pictures", "recall", "precision", "most often taken for"], rows)


def matrix_table(matrix, labels):
    """A row for each class, a column for each answer."""
    return table(["is \\ taken for", *labels],
                 [[label, *row] for label, row in zip(labels, matrix)])


def markdown(classes, found, labels):
    """Both tables and the accuracy over all."""
    matrix = confusion_matrix(classes, found, len(labels))
    right, count = sum(row[i] for i, row in enumerate(matrix)), len(classes)
    return (f"{right} of {count} pictures right, {100 * right / count:.2f} %.\n\n"
            f"{class_table(matrix, labels)}\n{matrix_table(matrix, labels)}")
