"""UCI Adult: who earns more than 50,000 dollars a year, from the United States census of 1994.

Reads the official files adult.data (32,561 rows, 7,841 positive) and adult.test (16,281 rows, 3,846
positive; a comment as first line, labels that end in a dot). B. Becker and R. Kohavi (1996), UCI
Machine Learning Repository, https://doi.org/10.24432/C5XW20, CC BY 4.0.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from jaxrobust.data import place

SOURCE = "UCI Machine Learning Repository, Census Income / Adult"
ROWS = {"adult.data": 32_561, "adult.test": 16_281}
COLUMNS = (
    *("age", "workclass", "fnlwgt", "education", "education-num", "marital-status", "occupation"),
    *("relationship", "race", "sex", "capital-gain", "capital-loss", "hours-per-week"),
    *("native-country", "income"),
)
_NUMERIC = {"age", "education-num", "capital-gain", "capital-loss", "hours-per-week"}
_LABELS = {"<=50K": -1.0, ">50K": 1.0}


class Adult(NamedTuple):
    """Adult as numbers; all values are whole and below 2^24, so float32 holds them exactly."""

    x: Float[np.ndarray, "48842 107"]
    """Numeric columns as they are, one column 0/1 for each level of the others; "?" is a level."""
    y: Float[np.ndarray, " 48842"]
    """+1 where the income is above 50,000 dollars, else -1."""
    names: tuple[str, ...]
    """Of the columns of x: "age", "sex=Female", ..."""
    groups: dict[str, Bool[np.ndarray, " 48842"]]
    """Masks "female", "Black" and "non-US" (a country other than the United States, or "?")."""
    test: Bool[np.ndarray, " 48842"]
    """Rows of adult.test; they stand behind those of adult.data."""


def adult(folder: str | Path = "") -> Adult:
    """Read adult.data and adult.test; fnlwgt, a weight of the survey, is dropped.

    Parameters
    ----------
    folder
        Holds the two files, or a folder `adult` with them. Default: the folder that the environment
        variable JAXROBUST_DATA names.

    Raises
    ------
    MissingData
        Where the folder or a file is missing.
    ValueError
        Where a file is not the official one: rows, columns, numbers or labels.
    """
    paths = place.find(folder, "adult", list(ROWS), SOURCE)
    tables = [_read(path) for path in paths]
    text = dict(zip(COLUMNS, np.concatenate(tables, axis=1), strict=True))
    parts, names = [], []
    for column in COLUMNS[:-1]:
        if column in _NUMERIC:
            parts.append(text[column].astype(np.float32)[:, None])
            names.append(column)
        elif column != "fnlwgt":
            levels, index = np.unique(text[column], return_inverse=True)
            parts.append(np.eye(levels.size, dtype=np.float32)[index])
            names.extend(f"{column}={level}" for level in levels)
    groups = {
        "female": text["sex"] == "Female",
        "Black": text["race"] == "Black",
        "non-US": text["native-country"] != "United-States",
    }
    y = np.where(text["income"] == ">50K", 1.0, -1.0).astype(np.float32)
    test = np.arange(y.size) >= ROWS["adult.data"]
    return Adult(np.concatenate(parts, axis=1), y, tuple(names), groups, test)


def _read(path: Path) -> np.ndarray:
    """Return the columns of one file as text, (15, rows); refuse what is not the official file."""

    def wrong(line: int, what: str) -> ValueError:
        return ValueError(f"{path} line {line}: {what}; get the file again from the {SOURCE}")

    rows = []
    with path.open(newline="", encoding="latin-1") as file:
        reader = csv.reader(file, skipinitialspace=True)
        for row in reader:
            if not row or row[0].startswith("|"):  # an empty line, or the comment of adult.test
                continue
            if len(row) != len(COLUMNS):
                raise wrong(reader.line_num, f"{len(COLUMNS)} columns expected, got {len(row)}")
            row[-1] = row[-1].strip().removesuffix(".")
            if row[-1] not in _LABELS:
                raise wrong(reader.line_num, f"label <=50K or >50K expected, got {row[-1]!r:.20}")
            for column, value in zip(COLUMNS, row, strict=True):
                if column in _NUMERIC and not value.isdecimal():
                    raise wrong(reader.line_num, f"{column} must be a number, got {value!r:.20}")
            rows.append(row)
    if len(rows) != ROWS[path.name]:
        raise ValueError(
            f"{path} has {len(rows):,} rows, {ROWS[path.name]:,} expected: it is cut or not the "
            f"official file; get it again from the {SOURCE}"
        )
    return np.array(rows).T
