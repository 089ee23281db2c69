"""Find secrets in what is to leave this machine: the changes that git has not, and the code that a model carries.

detect-secrets knows the keys of services by their form; it is the one widely used scanner that is a library in pure
Python. Its plugins are asked one by one: its own scan may ask the services whether a key is valid, and ours asks
nobody. What it lacks stands here: newer services, headers and command lines, words like `token` and `password` before a
value, and the names of files that exist to hold secrets. A secret that is missed is out
for good, and a line that is held back by mistake costs a patch: so what is unclear is held back.
"""

import fnmatch
import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any

_FILES = (
    *(".env*", "*.env", "env.local", ".envrc", ".netrc", "netrc", "_netrc", ".pgpass", "pgpass.conf", ".my.cnf"),
    *("*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx", "*.ppk", "*.asc", "*.gpg", "*.ovpn"),
    *("id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", ".htpasswd", ".git-credentials", ".pypirc", ".npmrc", ".boto"),
    *("kaggle.json", "kubeconfig*", "*.kubeconfig", ".dockercfg", ".s3cfg", "*.tfvars", "*.tfstate", "config.local"),
    *("service[-_]account*.json", "client_secret*.json", "*credential*", "*secret*", "*password*", "token.txt"),
    *("token.json", "auth.json", "auth.toml"),
)
_FOLDERS = {".aws", ".ssh", ".gnupg", ".kube", ".docker", ".azure"}
_CODE = (".py", ".md", ".pyi")  # may be about secrets, by their names

# Keys that can be told by their form. A bar in a name of a service stands for nothing.
_FORMS = {
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY|PuTTY-User-Key[-]File|AGE-SECRET-KEY-1[0-9A-Z]{20,}",
    "an AWS key": r"\b(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}\b",
    "a Google key": r"\bAIza[\w-]{30,}|\bya29\.[\w-]{20,}|\bGOCSPX-[\w-]{20,}",
    "an Azure key": r"(?i:accountkey|sharedaccesskey)=[\w+/=]{20,}|[?&]sig=[\w%+/=-]{20,}",
    "a GitHub token": r"\bgh[pousr]_\w{30,}|\bgithub_pat_\w{20,}",
    "a GitLab token": r"\bgl(?:pat|ptt|dt|rt|cbt|soat|ft)-[\w-]{16,}",
    "a Hugging Face token": r"\bhf_\w{30,}",
    "a key that begins with sk": r"\bsk-[\w-]{16,}|\b[sr]k_(?:live|test)_\w{10,}",
    "a Slack token": r"\bxox[a-z]-[\w-]{10,}|\bxapp-[\w-]{10,}|hooks\.slack\.com/services/[\w/]{20,}",
    "a Discord webhook": r"discord(?:app)?\.com/api/webhooks/\d+/[\w-]{20,}",
    "a Teams webhook": r"webhook\.office\.com/webhookb2/[\w@/-]{20,}",
    "a Telegram token": r"\b\d{8,10}:[\w-]{35}\b",
    "a Mailgun key": r"\bkey-[0-9a-f]{32}\b",
    "a Databricks token": r"\bdapi[0-9a-f]{32}",
    "a DigitalOcean token": r"\bdo[opr]_v1_[0-9a-f]{40,}",
    "a Shopify token": r"\bshp(?:at|ca|pa|ss)_[0-9a-fA-F]{20,}",
    "a Linear key": r"\blin_api_\w{20,}",
    "a Notion token": r"\bntn_\w{20,}|\bsecret_[A-Za-z0-9]{40,}",
    "an Atlassian token": r"\bATATT3[\w=-]{20,}",
    "a Doppler token": r"\bdp\.(?:pt|st|ct|sa)\.[\w.-]{20,}",
    "a Grafana token": r"\bglsa_\w{20,}|\bglc_[\w+/=]{20,}",
    "a New Relic key": r"\bNRAK-[A-Z0-9]{20,}",
    "a Sentry token": r"\bsntry[su]_[\w=+/-]{20,}",
    "a Vault token": r"\bhv[sbr]\.[\w-]{20,}",
    "a Terraform token": r"\b\w{14}\.atlasv1\.[\w-]{20,}",
    "a Pulumi token": r"\bpul-[0-9a-f]{40}",
    "a Postman key": r"\bPMAK-[0-9a-f-]{20,}",
    "a Replicate token": r"\br8_\w{30,}",
    "a Groq key": r"\bgsk_\w{30,}",
    "a PyPI token": r"\bpypi-[\w-]{30,}",
    "an npm token": r"\bnpm_\w{30,}",
    "a JSON Web Token": r"\beyJ[\w-]{8,}\.eyJ[\w-]{8,}",
    "a hash of a password": r"\$(?:apr1|2[aby]|5|6|y|argon2id?)\$[\w./$=,+]{20,}",
    "a login in an address": r"://[^\s/:@\"']+:[^\s/@\"']+@",
    "a token in an address": r"[?&](?:access_|api_?|auth_)?(?:token|key|signature|secret)=[\w%.~-]{16,}",
    "a header with a login": r"(?i:\b(?:proxy-)?authorization[\"']?\s*[:=,]\s*[\"']?"
    r"(?:bearer|basic|token|apikey|digest)?\s+[\w.~+/=:-]{8,}|\bbearer\s+[\w.~+/=-]{16,})",
    "a login of .netrc": r"\bmachine\s+\S+\s+login\s+\S+\s+password\s+\S+",
    "a login on a command line": r"\bcurl\b.*\s(?:-u|--user)[ =]?[\"']?[^\s:$\"']+:[^\s$\"']+|\bsshpass\s+-p\s*[^\s$]+"
    r"|--(?:password|token|api-?key|secret|client-secret)[ =][\"']?(?![$<{\[])[^\s\"']{6,}",
    "a key of an account": r"\"key\"\s*:\s*\"[0-9a-fA-F]{32,}\"",
}
_PATTERNS = {kind: re.compile(form) for kind, form in _FORMS.items()}

_WORDS = (
    r"pass(?:word|wd|phrase|code)?|pwd|kennwort|passwort|mot_de_passe|contrase[nñ]a|secret|credentials?|token|auth"
    r"|(?:api|access|secret|private|auth|account|service|client|db|database|encryption|signing|session|master|shared"
    r"|subscription|storage|license)[_.-]?key|key[_.-]data|connection[_.-]?string|conn[_.-]?str|webhook(?:[_.-]url)?"
)
# A name that ends with such a word, = or :, and a value. A type may stand in between: `token: str = "…"`.
_ASSIGNED = re.compile(
    rf"(?i:(?P<word>{_WORDS}))[\"']?\]?[ \t]*(?::[ \t]*[\w\[\]| .]+?[ \t]*=(?!=)|:=|=>|=(?!=)|:)[ \t]*"
    r"(?:[rbuf]{0,2}(?P<quote>[\"'`]{1,3})(?P<quoted>[^\"'`\n]{4,})(?P=quote)|(?P<bare>[^\s\"'`,;]+))"
)
_PLACEHOLDER = re.compile(
    r"(?i)[$<{\[%(*].*|.*(?:\$\{|\{\{|%\(|\{\w*\}).*|x{3,}.*|\.{3}.*"
    r"|(?:your|my|the|an?|some|example|dummy|test)[ _-].*"
    r"|(?:none|null|true|false|str|string|int|bool|bytes|any|optional.*|required|changeme|redacted|hidden|todo|self\..*)"
)
_BARE = re.compile(r"[\w+/=.~!@#%^&*?-]{6,}")
_LONG = re.compile(r"[\"'`=:\s]([A-Za-z0-9+/_-]{32,}={0,2})(?=[\"'`\s,;]|$)")
_LONGEST, _OVERLAP = 10_000, 500  # characters of the pieces in which a line is looked at


def secrets_in(name: str, text: str) -> list[str]:
    """Name what may be a secret in a text.

    Args:
        name: of its file: in code, a value without quotes is another name, and no secret.
        text: any.

    Returns:
        `line 3: an AWS key` for each line, in order.
    """
    look, lines = _Look(text, _is_code(name)), enumerate(text.splitlines(), start=1)
    return [f"line {number}: {kind}" for number, line in lines if (kind := look.kind(line))]


def secrets_in_changes(name: str, diff: str) -> list[str]:
    """Name what may be a secret in a file's changes, as git writes them, or in the name of the file.

    Returns:
        As `secrets_in`, by the numbers of the lines as they are now; of a line that is gone, that it is.
    """
    if is_secret_file(name):
        return ["its name"]
    look = _Look(diff, _is_code(name))
    found, number = [], 0
    for line in diff.splitlines():
        if head := re.match(r"@@ -\S+ \+(\d+)", line):
            number = int(head[1])
        elif number and line[:1] in ("+", "-", " "):
            kind = look.kind(line[1:])
            place = "a removed line" if line[0] == "-" else f"line {number}"
            found += [f"{place}: {kind}"] if kind else []
            number += line[0] != "-"
    return found


def is_secret_file(name: str) -> bool:
    """Tell by its name if a file exists to hold secrets."""
    path = PurePosixPath(Path(name).as_posix().lower())
    if not _FOLDERS.isdisjoint(path.parts[:-1]):
        return True
    return path.suffix not in _CODE and any(fnmatch.fnmatch(path.name, pattern) for pattern in _FILES)


def _is_code(name: str) -> bool:
    return name.endswith((".py", ".pyi"))


class _Look:
    """Looks at the lines of a text, each of them for what is somewhere in the text: most texts have none of it.

    Args:
        text: all of it.
        is_code: a value without quotes is no secret.
    """

    def __init__(self, text: str, is_code: bool) -> None:
        self._is_code = is_code
        self._forms = {kind: form for kind, form in _PATTERNS.items() if form.search(text)}
        self._plugins = [plugin for plugin in _plugins() if any(True for _ in plugin.analyze_string(text))]

    def kind(self, line: str) -> str:
        """Say what kind of secret a line may hold; empty: none."""
        pieces = (line[start : start + _LONGEST] for start in range(0, len(line), _LONGEST - _OVERLAP))
        return next((kind for piece in pieces for kind in self._kinds(piece)), "")

    def _kinds(self, line: str) -> Iterator[str]:
        yield from (kind for kind, form in self._forms.items() if form.search(line))
        for plugin in self._plugins:
            if any(True for _ in plugin.analyze_string(line)):
                yield f"{plugin.secret_type}, by detect-secrets"
        for match in _ASSIGNED.finditer(line):
            if _is_value(match, self._is_code):
                yield f"a value after {match['word'].lower()!r}"
        if any(_is_random(match[1]) for match in _LONG.finditer(line)):
            yield "a long random value"


def _is_value(match: re.Match[str], is_code: bool) -> bool:
    """Tell if what stands behind a word such as `password` is a value, and not its place, its type or another name."""
    word, quoted, bare = match["word"].lower(), match["quoted"], match["bare"]
    before = match.string[match.start() - 1 : match.start()]
    if word == "pass" and before.isalpha():  # a compass is none
        return False
    value = quoted or bare
    if _PLACEHOLDER.fullmatch(value) or " " in value.strip():
        return False
    if quoted is None and (is_code or not _BARE.fullmatch(bare)):
        return False
    if is_code and "\\" in value:  # a pattern, as they stand above
        return False
    mixed = bool(re.search(r"\d", value)) or len({char.isupper() for char in value if char.isalpha()}) > 1
    if word.startswith(("pass", "pwd", "kenn", "mot", "contra")):
        return len(value) >= 6 or mixed
    # `token: data/tokens.npz` and `"token": "unknown"` are none.
    return len(value) >= 8 and bool(re.search(r"\d", value)) and not re.search(r"/.*\.[a-z]{2,4}$", value)


def _is_random(value: str) -> bool:
    """Tell if a long value mixes small letters, capitals and digits as chance alone does; a hash has no capitals."""
    kinds = [re.findall(kind, value) for kind in ("[a-z]", "[A-Z]", "[0-9]")]
    changes = sum(_sort(one) != _sort(other) for one, other in pairwise(value))
    return min(map(len, kinds)) >= 3 and changes >= 0.4 * len(value)


def _sort(char: str) -> int:
    return char.isupper() + 2 * char.isdigit() + 4 * (not char.isalnum())


@cache
def _plugins() -> tuple[Any, ...]:
    """Make the plugins of detect-secrets that know a service by the form of its keys; all of them work on one line."""
    from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class  # takes 0.1 seconds

    # Entropy alone takes hashes and paths for secrets, a keyword any value; addresses of networks are none.
    others = ("HighEntropy", "Keyword", "IPPublic")
    kinds = get_mapping_from_secret_type_to_class().values()
    return tuple(kind() for kind in kinds if not any(other in kind.__name__ for other in others))
