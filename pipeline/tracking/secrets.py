"""Tell which changes of a file may hold a secret, so that no record of a run carries it."""

import fnmatch
import re
from pathlib import Path

_SECRET_FILES = (".env*", ".netrc", "*.pem", "*.key", "id_*", "*credential*", "*secret*", "*password*", "config.local")
_SECRET_LINE = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_\w{30,}|\bhf_\w{30,}|\bsk-[\w-]{16,}"
    r"|\bxox[a-z]-[\w-]{10,}|\bglpat-[\w-]{16,}|\bBearer\s+[\w.~+/=-]{16,}|://[^\s/:@\"']+:[^\s/@\"']+@"
    r"|\b[A-Z][A-Z0-9_]*(TOKEN|PASS|CREDENTIALS?|_KEY)[\"']?[ \t]*[:=][ \t]*[\"']?[^\s\"'(){}]{8,}"
    r"|(?i:(password|passwd|secret|api_?key|access_?key|(auth|access)_?token)[\"']?[ \t]*[:=][ \t]*[\"']?[^\s\"']{6,})"
)


def may_hold_secrets(name: str, diff: str) -> bool:
    """Tell by the name of a file, or by a line of its changes, if it may hold a secret."""
    file = Path(name).name.lower()
    return any(fnmatch.fnmatch(file, pattern) for pattern in _SECRET_FILES) or bool(_SECRET_LINE.search(diff))
