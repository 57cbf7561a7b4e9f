"""What works with which program, as the tests have just seen it: docs/programs.md.

Called by: conftest.py (its hooks); with `@pytest.mark.cells(program, engine, columns...)` a test
says which cells it proves.
Owns: the table in docs/programs.md: cells of tests that ran are written anew, others stay.
Never: a cell that no test stands for.
"""

from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "programs.md"
COLUMNS = ("connect", "DNS", "SRV", "UDP", "fork", "fd passing")
YES, NO = "yes", "**no**"
Cell = tuple[str, str, str]

HEAD = """# Programs

Which programs of a laptop reach the pod's network with `inject-tcp`, by which engine: *shim* is the
preloaded library, *supervisor* answers system calls ([inject-tcp.md](inject-tcp.md)). The tests
write this table (`tests/preload`): a cell is *yes* when all tests of it passed in their last run,
and empty when the program has no such feature by itself. All have also been run without either, in
a network that is the pod's.

* connect: TCP connections; DNS: by name; SRV: records other than addresses
* UDP: datagrams; fork: its children, too; fd passing: of a connected socket to another process

"""


def read_table(text: str) -> dict[Cell, str]:
    cells = {}
    for line in text.splitlines():
        words = [word.strip() for word in line.strip("|").split("|")]
        if (
            line.startswith("|")
            and len(words) == len(COLUMNS) + 2
            and words[0] not in ("program", "")
        ):
            program, engine, *values = words
            for column, value in zip(COLUMNS, values, strict=True):
                if value in (YES, NO):
                    cells[program, engine, column] = value
    return cells


def make_table(cells: dict[Cell, str]) -> str:
    lines = [f"| program | engine | {' | '.join(COLUMNS)} |", "|---" * (len(COLUMNS) + 2) + "|"]
    for program, engine in sorted({cell[:2] for cell in cells}):
        values = [cells.get((program, engine, column), "") for column in COLUMNS]
        lines.append(f"| {program} | {engine} | {' | '.join(values)} |")
    return "\n".join(lines) + "\n"


def update(seen: dict[Cell, bool]) -> None:
    text = PAGE.read_text() if PAGE.exists() else ""
    cells = read_table(text) | {cell: YES if good else NO for cell, good in seen.items()}
    updated = HEAD + make_table(cells)
    if updated != text:
        PAGE.write_text(updated)
