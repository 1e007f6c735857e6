"""Checks each line of a file of JSON against a JSON Schema.

    check_schema.py SCHEMA LINES

Exit status 1, and what is wrong, unless all lines are valid and there is one at least.
"""
import json
import sys

import jsonschema


def main():
    schema_path, lines_path = sys.argv[1:]
    with open(schema_path, encoding="utf-8") as file:
        schema = json.load(file)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    with open(lines_path, encoding="utf-8") as file:
        lines = file.read().splitlines()
    problems = [f"line {number}: {error.message}" for number, line in enumerate(lines, 1)
                for error in validator.iter_errors(json.loads(line))]
    print("\n".join(problems))
    return 1 if problems or not lines else 0


if __name__ == "__main__":
    sys.exit(main())
