#!/usr/bin/env python3
"""Which recipes stand on a source that the distribution has replaced since: exits with 1 if there is one.

usage: updates.py

Reads the distribution's lists anew (the system's apt is not changed) and prints, for each recipe whose source package has
a newer version, both versions and where the newer one is (a security suite is named as such). To update a recipe: put the
new version and the SHA-256 of its .dsc into it (`apt-get source --download-only`, `sha256sum`), build, run the tests.
"""

import re
import subprocess
import sys

import build
import sources


def pinned():
    """(source package, recipe) of the libc and of every port."""
    recipes = {"musl": build.HERE / "libc/source.sh"}
    recipes |= {path.parent.name: path for path in (build.HERE / "ports").glob("*/recipe.sh")}
    return sorted(recipes.items())


def offered(name, recipe, environment):
    """(version, where) of what there is, newest first."""
    if not build.is_of_npm(recipe):
        return sources.offered(name, environment)
    command = ["npm", "view", build.recipe_value(recipe, "npm_package"), "version"]
    newest = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    return [(newest, "npm")]


def is_newer(version, than):
    return subprocess.run(["dpkg", "--compare-versions", version, "gt", than], check=False).returncode == 0


def main():
    if len(sys.argv) > 1:
        sys.exit(__doc__)
    build.CACHE.mkdir(parents=True, exist_ok=True)
    environment = sources.private_apt(build.CACHE)
    outdated = 0
    for name, recipe in pinned():
        version = build.recipe_value(recipe, "version")
        versions = offered(name, recipe, environment)
        if not versions:
            print(f"{name}: {version}, which the distribution does not offer any more")
            outdated += 1
        newer = [row for row in versions if is_newer(row[0], version)]
        for newest, suite in newer[:1]:
            security = " (security)" if re.search(r"security", suite) else ""
            print(f"{name}: {version}, replaced by {newest} in {suite}{security}")
        outdated += bool(newer)
    print(f"{outdated} to update, {len(pinned()) - outdated} up to date")
    sys.exit(1 if outdated else 0)


if __name__ == "__main__":
    main()
