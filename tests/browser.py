"""Finds the browser of the browser tests: Chromium, Chrome or Edge; installs one where there is none.

`python -m tests.browser` prints its path, or the reason why there is none and exits with 1; `dev.py test`
asks so. What it installs, it says on stderr. Never touches a browser's profile or settings.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

ON_PATH = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "microsoft-edge",
    "microsoft-edge-stable",
    "msedge",
)
MAC_APPS = ("Google Chrome", "Chromium", "Microsoft Edge")
WINDOWS_PLACES = (
    "Google/Chrome/Application/chrome.exe",
    "Chromium/Application/chrome.exe",
    "Microsoft/Edge/Application/msedge.exe",
)
PLAYWRIGHT_PLACES = (
    "chromium-*/chrome-linux*/chrome",
    "chromium-*/chrome-win*/chrome.exe",
    "chromium-*/chrome-mac*/*.app/Contents/MacOS/*",
)
INSTALL_LIMIT_S = 900


class NoBrowserError(Exception):
    """There is none, for the reason in its text."""


def places(environ: Mapping[str, str], home: Path) -> Iterator[Path]:
    """Where a browser may lie: the PATH, each system's usual places, Playwright's own (newest first)."""
    for name in ON_PATH:
        if found := shutil.which(name, path=environ.get("PATH")):
            yield Path(found)
    for folder in (Path("/Applications"), home / "Applications"):
        yield from (folder / f"{app}.app/Contents/MacOS/{app}" for app in MAC_APPS)
    for variable in ("PROGRAMFILES", "PROGRAMFILES(X86)", "LOCALAPPDATA"):
        if folder_name := environ.get(variable):
            yield from (Path(folder_name) / place for place in WINDOWS_PLACES)
    caches = (
        environ.get("PLAYWRIGHT_BROWSERS_PATH"),
        home / ".cache/ms-playwright",
        home / "Library/Caches/ms-playwright",
    )
    for cache in (*caches, home / "AppData/Local/ms-playwright"):
        for place in PLAYWRIGHT_PLACES:
            yield from sorted(Path(cache).glob(place), reverse=True) if cache else ()


def fault(browser: Path) -> str:
    """Why it cannot be used; empty when it can."""
    if not os.path.isfile(browser):  # not is_file, which raises where a folder may not be read
        return f"{browser} does not exist"
    if os.name == "nt":  # there --version opens a window
        return ""
    try:
        # The chromium of some distributions is a script that only says what to install.
        ran = subprocess.run(
            [browser, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{browser} does not run: {error}"
    words = (ran.stderr.strip() or ran.stdout.strip()).splitlines() or ["it says nothing"]
    return f"{browser} does not run: {words[-1]}" if ran.returncode else ""


def find_browser(environ: Mapping[str, str] | None = None, home: Path | None = None) -> Path | None:
    """The browser that ONENOTE_AUTH_BROWSER names, else the first that is found and runs; None without one.

    Raises NoBrowserError where the variable names one that does not run: taking another would hide that.
    """
    environ = os.environ if environ is None else environ
    if named := environ.get("ONENOTE_AUTH_BROWSER"):
        if reason := fault(Path(named)):
            raise NoBrowserError(f"ONENOTE_AUTH_BROWSER: {reason}")
        return Path(named)
    return next((place for place in places(environ, home or Path.home()) if not fault(place)), None)


def installers() -> Iterator[list[list[str]]]:
    """Ways to get one, each a list of commands: as root on Debian its package, then Playwright's own."""
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    if root and Path("/etc/debian_version").exists() and shutil.which("apt-get"):
        yield [["apt-get", "update"], ["apt-get", "install", "-y", "--no-install-recommends", "chromium"]]
    yield [[sys.executable, "-m", "playwright", "install", "chromium"]]


def install_browser() -> Path:
    """Install a browser, saying so on stderr. Raises NoBrowserError where every way fails."""
    failures = []
    for commands in installers():
        failure = next(filter(None, map(run_installer, commands)), "")
        if not failure and (browser := find_browser()):
            return browser
        failures.append(failure or f"{shown(commands[-1])} brought none that runs")
    raise NoBrowserError(f"none was found, and none could be installed ({'; '.join(failures)})")


def run_installer(command: list[str]) -> str:
    """Why it failed, in its own words; empty when it did not."""
    print(f"No browser found, installing one: {shown(command)} ...", file=sys.stderr, flush=True)
    try:
        ran = subprocess.run(
            command,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=INSTALL_LIMIT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{shown(command)}: {error}"
    if not ran.returncode:
        return ""
    lines = ran.stdout.decode("utf-8", "replace").splitlines()
    errors = [line.strip() for line in lines if re.match(r"\s*(E:|ERR|Error|Failed)", line)]
    return f"{shown(command)}: {errors[0] if errors else f'exit code {ran.returncode}'}"


def shown(command: list[str]) -> str:
    return " ".join(command[2:] if command[0] == sys.executable else command)


def main() -> int:
    try:
        print(find_browser() or install_browser())
    except NoBrowserError as error:
        print(error)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
