"""Programs for the TypeScript SDK, as those run that have it from its package."""
import pathlib
import shutil
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
needs_node = unittest.skipUnless(shutil.which("npm") and shutil.which("node"), "no Node on this machine")


def run_with_package(case, name):
    """tests/sdk/NAME in a folder with the packed SDK: it ends with status 0, no word on standard error and "all of it"."""
    with tempfile.TemporaryDirectory() as folder:
        package = subprocess.run(["npm", "pack", "--silent", "--pack-destination", folder, str(ROOT / "sdk/typescript")],
                                 capture_output=True, text=True, check=True).stdout.strip()
        target = pathlib.Path(folder, "node_modules/@cordon/sandbox")
        target.mkdir(parents=True)
        subprocess.run(["tar", "-xzf", pathlib.Path(folder, package), "-C", target, "--strip-components=1"], check=True)
        shutil.copy(ROOT / "tests/sdk" / name, folder)
        done = subprocess.run(["node", name], cwd=folder, capture_output=True, text=True, timeout=120)
        case.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        case.assertEqual(done.stdout, "all of it\n")
