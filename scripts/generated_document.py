"""What the scripts that make a document, or a part of one, have in common: write it, or check that it is current."""
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def run(target, make, usage):
    """`write` or `check`, as the command line says; ends the process. `make` takes the text that is there and returns the wanted one."""
    if sys.argv[1:] not in (["write"], ["check"]):
        sys.exit(usage)
    current = target.read_text() if target.exists() else ""
    wanted = make(current)
    if sys.argv[1] == "write":
        target.write_text(wanted)
        sys.exit(0)
    if current != wanted:
        print(f"{target.relative_to(ROOT)} is not current: run scripts/{pathlib.Path(sys.argv[0]).name} write")
    print(f"{int(current == wanted)} passed, {int(current != wanted)} failed")
    sys.exit(0 if current == wanted else 1)
