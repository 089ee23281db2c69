"""Ask for the known weaknesses of all packages that the locks name; `make audit` calls it.

    python -m tests.audit

The advisories are on the network. What was not looked up is said, and is no pass: the last line counts both.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

LOCKS = ("requirements.lock", "requirements-gpu.lock", "requirements-spark.lock", "requirements-dev.lock")
_SECONDS = 600


def main() -> int:
    """Print each weakness, and what could not be looked up; return 1 if there is a weakness."""
    weak, known, missing = [], set(), {}
    for lock in LOCKS:
        for package in _asked(lock):
            name = f"{package['name']} {package.get('version', '')}".strip()
            if "skip_reason" in package:
                missing[name] = package["skip_reason"]
                continue
            known.add(name)
            weak += [f"{lock}: {name}: {_told(weakness)}" for weakness in package["vulns"]]
    for line in sorted(set(weak)):
        print(line)
    if not known:
        print(f"NOT AUDITED: no advisory could be reached for any of {len(missing)} packages")
    elif missing:
        print(f"not audited: {', '.join(sorted(missing))}")
    print(f"{len(known)} packages looked up, {len(missing)} not; {len(set(weak))} weaknesses")
    return 1 if weak else 0


def _asked(lock: str) -> list[dict[str, Any]]:
    """Ask pip-audit for the packages of a lock. Out of reach, all of them are missing."""
    command = ["pip-audit", "--require-hashes", "--disable-pip", "--progress-spinner=off", "--format=json", "-r", lock]
    command[0] = str(Path(sys.executable).with_name(command[0]))
    done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    try:
        return list(json.loads(done.stdout)["dependencies"])
    except (ValueError, KeyError, TypeError):
        reason = (done.stderr.strip().splitlines() or ["no answer"])[-1]
        print(f"{lock}: {reason}", file=sys.stderr)
        lines = Path(lock).read_text(encoding="utf-8").splitlines()
        return [{"name": line.split("==")[0], "skip_reason": reason} for line in lines if "==" in line]


def _told(weakness: dict[str, Any]) -> str:
    fixed = ", ".join(weakness["fix_versions"]) or "no version yet"
    return f"{weakness['id']} ({', '.join(weakness['aliases']) or 'no other name'}), mended in {fixed}"


if __name__ == "__main__":
    sys.exit(main())
