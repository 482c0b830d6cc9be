"""`python -m docs_build`: the site in site/, or what is wrong with it and exit status 1."""

import os
import subprocess
import sys
from pathlib import Path

from docs_build import reference
from docs_build.checks import dead_links, hosts_loaded, misplaced_pages
from docs_build.offline import cut_off
from docs_build.staging import DeadLinkError, Staging

ROOT = Path(__file__).parents[1]
CONFIG = ROOT / "zensical.toml"
DOCS, STAGED, SITE = ROOT / "docs", ROOT / "build" / "docs", ROOT / "site"


def main() -> int:
    reference.main()
    try:
        Staging(ROOT, DOCS, STAGED).run()
    except DeadLinkError as error:
        return refuse([str(error)])
    if problems := list(misplaced_pages(CONFIG, DOCS)):
        return refuse(problems)
    generator = [
        sys.executable,
        "-m",
        "zensical",
        "build",
        "--clean",
        "--strict",
        "--config-file",
        str(CONFIG),
    ]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}  # where the generator finds our extension
    if status := subprocess.run(generator, cwd=ROOT, env=environment, check=False).returncode:
        return status
    cut_off(SITE)
    if problems := [*dead_links(SITE), *hosts_loaded(SITE)]:
        return refuse(problems)
    print(f"{len(list(SITE.rglob('*.html')))} pages in {SITE}; open {SITE / 'index.html'}")
    return 0


def refuse(problems: list[str]) -> int:
    print("\n".join(problems), file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
