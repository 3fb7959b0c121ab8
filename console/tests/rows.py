"""The rows of an answer, as they are on the screen."""

import csv
import io


def shown(grid):
    """The rows that are in the document, as lists of texts, without the column of links."""
    names = grid.locator("thead th").all_inner_texts()
    skip = 1 if names[0].strip() == "Show" else 0
    return names[skip:], [row.locator("td").all_inner_texts()[skip:] for row in grid.locator("tbody tr:not(.gap)").all()]


def same_rows(grid, answer, is_whole=False):
    """What the grid shows is the answer, which is CSV, or its beginning: only rows on the screen are in the document."""
    names, rows = shown(grid)
    columns, *wanted = csv.reader(io.StringIO(answer))
    assert names == columns, (names, columns)
    assert rows and (len(rows) == len(wanted) if is_whole else len(rows) <= len(wanted)), (len(rows), len(wanted))
    for row, one in zip(rows, wanted):
        assert [cell.strip() for cell in row] == [value if value else "NULL" for value in one], (row, one)
