#!/usr/bin/env python3
"""Programs out of the documents of a package of this kind, with only its name changed: run_snippets.py [source | packed]

source: against the SDKs of this tree. packed: against the npm package and the wheel, installed into clean folders, without an
index, and with nothing of this tree beside them.

What runs is in sdk/snippets. Where the documents themselves are ($CORDON_SNIPPET_DOCUMENTS, a folder with NAME-readme.md and
NAME-package-manager.md), every snippet is taken out of them and must be what is written down here.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("CORDON_BUILD", ROOT / "build"))
SNIPPETS = ROOT / "tests/sdk/snippets"
DOCUMENTS = pathlib.Path(os.environ.get("CORDON_SNIPPET_DOCUMENTS", ROOT / "../shared/reference/originals"))

# What snippets need that not every build of this tree has: the row runs as soon as this says True.
FEATURES = {"packages": True, "browser": False}

IMPORT = "import { Sandbox } from '@cordon/sandbox';\n"
# Rows: the document and the number of its fenced block, its language, and how it is run:
#   before, after   code around it, which brings what the document's text has said by then, and says what came of it
#   prints          a regular expression for all that it prints
#   needs           of FEATURES
#   is_not          why it is nothing to run
TABLE = [
    dict(at=("readme", 0), language="bash", installs="npm"),
    dict(at=("readme", 1), language="bash", installs="pip"),
    dict(at=("readme", 2), language="typescript", prints=r"2\n\n"),
    dict(at=("readme", 3), language="typescript", needs="browser", prints=""),
    dict(at=("readme", 4), language="python", prints=r"total \d+\n(.*\n)*\nalice,95\nbob,87\nname,score\n\n"),
    dict(at=("readme", 5), language="typescript", needs="packages", before=IMPORT, prints=""),
    dict(at=("readme", 6), language="typescript",
         before=IMPORT + "const sandbox = await Sandbox.create();\nawait sandbox.run('cd /tmp; X=kept; echo file >/tmp/f');\n",
         after="console.log((await sandbox2.run('echo $PWD $X; cat /tmp/f')).stdout);\n", prints=r"/tmp kept\nfile\n\n"),
    dict(at=("readme", 7), language="python",
         before="from cordon_sandbox import Sandbox\nsb = Sandbox()\nsb.commands.run('cd /tmp; X=kept; echo file >/tmp/f')\n",
         after="print(sb2.commands.run('echo $PWD $X; cat /tmp/f').stdout)\n", prints=r"/tmp kept\nfile\n\n"),
    dict(at=("readme", 8), language="bash", is_session=True, prints=r"hello\nworld\n +1  echo hello\n +2  echo world\n +3  history list.*\n"),
    dict(at=("readme", 10), language="bash", is_not="how that package is built"),
    dict(at=("package-manager", 0), language="typescript", needs="packages", before=IMPORT, prints=""),
    dict(at=("package-manager", 1), language="typescript", needs="packages",
         before=IMPORT + "const sandbox = await Sandbox.create();\n", prints=""),
    dict(at=("package-manager", 2), language="python", needs="packages", before="from cordon_sandbox import Sandbox\n", prints=""),
]
ENDINGS = {"typescript": "ts", "python": "py", "bash": "sh"}


def name_of(row):
    document, number = row["at"]
    return f"{document}-{number}.{ENDINGS[row['language']]}"


def renamed(text, package):
    """The one change that a user makes."""
    return (text.replace(f"@{package}/sandbox", "@cordon/sandbox").replace(f"from {package} import", "from cordon_sandbox import")
            .replace(f"pip install {package}\n", "pip install cordon-sandbox\n"))


def compare_with_documents():
    """Errors; nothing is compared where the documents are not."""
    errors = []
    for path in sorted(DOCUMENTS.glob("*-readme.md")) if DOCUMENTS.is_dir() else []:
        package = path.name.removesuffix("-readme.md")
        if not (DOCUMENTS / f"{package}-package-manager.md").exists():
            continue
        seen = set()
        for document in ("readme", "package-manager"):
            text = (DOCUMENTS / f"{package}-{document}.md").read_text()
            for number, (language, body) in enumerate(re.findall(r"^```(\w*)\n(.*?)^```$", text, re.M | re.S)):
                row = next((row for row in TABLE if row["at"] == (document, number)), None)
                if not language:
                    continue
                if row is None or row["language"] != language:
                    errors.append(f"{document} {number}: {language} is in no row")
                elif "is_not" not in row and (SNIPPETS / name_of(row)).read_text() != renamed(body, package):
                    errors.append(f"{document} {number}: is not what {name_of(row)} says")
                seen.add((document, number))
        errors += [f"{row['at']}: is not in the documents" for row in TABLE if row["at"] not in seen]
        print(f"snippets compared with the documents of {package}")
    return errors


class Place:
    """Where snippets run: `node` and `python` are folders, `environment` what their programs see."""

    def __init__(self, folder):
        self.folder = folder
        self.node, self.python_program = folder / "node", sys.executable
        self.node.mkdir()
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        self.environment = {**kept, "HOME": str(folder / "home")}
        (folder / "home").mkdir()

    def run(self, command, **options):
        return subprocess.run(command, cwd=self.node, env=self.environment, text=True, stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=600, **options)


def place_in_source(folder):
    place = Place(folder)
    (place.node / "node_modules/@cordon").mkdir(parents=True)
    (place.node / "node_modules/@cordon/sandbox").symlink_to(ROOT / "sdk/typescript")
    place.environment.update(CORDON=str(BUILD / "cordon"), PYTHONPATH=str(ROOT / "sdk/python"))
    return place, []


def install(place, row, package):
    """Runs the command of the document, with the file in the place of its name."""
    text = (SNIPPETS / name_of(row)).read_text().strip()
    name = {"npm": "@cordon/sandbox", "pip": "cordon-sandbox"}[row["installs"]]
    command = text.replace(name, str(package))
    if command == text:
        return [f"{name_of(row)}: does not install {name}"]
    done = place.run(["sh", "-c", command])
    return [] if done.returncode == 0 else [f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"]


def place_packed(folder):
    """And what went wrong on the way there."""
    packages = folder / "packages"
    subprocess.run([ROOT / "scripts/package_sdks.py", packages, "--build", BUILD, "--without-sources"], check=True)
    place = Place(folder)
    # No index is reached, whatever is asked: there is none.
    place.environment.update(npm_config_offline="true", npm_config_audit="false", npm_config_fund="false", PIP_NO_INDEX="1",
                             PIP_DISABLE_PIP_VERSION_CHECK="1")
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    place.environment["PATH"] = f"{folder}/venv/bin:{place.environment['PATH']}"
    place.python_program = str(folder / "venv/bin/python3")
    (place.node / "package.json").write_text("{}\n")
    errors = []
    for row in TABLE:
        if "installs" in row:
            found = next(packages.glob({"npm": "*.tgz", "pip": "*.whl"}[row["installs"]]))
            errors += install(place, row, found)
    shutil.rmtree(packages)
    return place, errors


def session_program(text):
    """Each line is a command of one session."""
    return ("from cordon_sandbox import Sandbox\nwith Sandbox() as sb:\n"
            f"    for line in {[line for line in text.splitlines() if line]!r}:\n"
            "        print(sb.commands.run(line).stdout, end='')\n"
            "    assert sb.commands.run('history list').stdout.strip() == '1  history list', 'history clear'\n")


def run(place, row):
    """An error, or None."""
    text = (SNIPPETS / name_of(row)).read_text()
    text = session_program(text) if row.get("is_session") else row.get("before", "") + text + row.get("after", "")
    is_node = row["language"] == "typescript"
    program = place.node / ("snippet.mjs" if is_node else "snippet.py")
    program.write_text(text)
    done = place.run(["node" if is_node else place.python_program, program.name])
    if done.returncode == 0 and re.fullmatch(row["prints"], done.stdout):
        return None
    return f"{name_of(row)}: {done.returncode}\n{done.stdout}{done.stderr}"


def main(where):
    start = time.monotonic()
    errors = compare_with_documents()
    passed = 0
    folder = pathlib.Path(tempfile.mkdtemp())
    try:
        place, more = {"source": place_in_source, "packed": place_packed}[where](folder)
        errors += more
        for row in TABLE:
            if "is_not" in row or ("installs" in row and where == "source"):
                continue
            if not FEATURES.get(row.get("needs"), True):
                print(f"{name_of(row)}: to come with {row['needs']}")
                continue
            if row["language"] == "typescript" and not shutil.which("node"):
                print(f"{name_of(row)}: no Node on this machine")
                continue
            error = None if "installs" in row else run(place, row)
            if error is not None:
                errors.append(error)
            elif "installs" not in row or not more:
                passed += 1
    finally:
        shutil.rmtree(folder)
    print("\n".join(errors), end="\n" if errors else "")
    print(f"{passed} passed, {len(errors)} failed, {time.monotonic() - start:.0f} s")
    return 1 if errors else 0


if __name__ == "__main__":
    if sys.argv[1:] not in ([], ["source"], ["packed"]):
        sys.exit(__doc__)
    sys.exit(main((sys.argv[1:] or ["source"])[0]))
