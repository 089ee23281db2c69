"""What may hold a secret stays on this machine: in changes, in the code of models. All values are of chance."""

import base64
import json
import random
import shutil
import string
from pathlib import Path

import pytest
from conftest import ROOT

from pipeline.packaging.package import HeldBackError, check_code
from pipeline.packaging.secrets import is_secret_file, secrets_in, secrets_in_changes

_CHANCE = random.Random(7)
_LETTERS, _HEX = string.ascii_letters + string.digits, string.digits + "abcdef"


def some(length: int, of: str = _LETTERS) -> str:
    """Characters of chance, a small one, a capital one and a digit first where there are such."""
    first = [kind for kind in ("a", "Z", "7") if kind in of]
    return "".join(first + _CHANCE.choices(of, k=length - len(first)))


def jwt() -> str:
    parts = [
        json.dumps(part).encode() for part in ({"alg": "HS256", "typ": "JWT"}, {"sub": some(12), "iat": 1516239022})
    ]
    return ".".join([*(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts), some(43)])


BASE64 = base64.b64encode(_CHANCE.randbytes(48)).decode()
# Kind to a file's name and a line. Prefixes stand apart from values, so that no scanner takes this file for a leak.
SECRETS = {
    "AWS id": ("a.py", f"key = 'AKI{'A'}{some(16, string.ascii_uppercase + '234567')}'"),
    "AWS session": ("a.txt", f"ASI{'A'}{some(16, string.ascii_uppercase + '234567')}"),
    "AWS secret": ("a.cfg", f"aws_secret_access_key = {some(40)}"),
    "Google": ("a.js", f"const maps = 'AI{'za'}{some(35)}'"),
    "Google OAuth": ("a.json", f'"client_secret": "GOC{"SPX"}-{some(28)}"'),
    "Google access": ("a.sh", f"curl -d ya{'29'}.{some(40)}"),
    "Azure storage": ("a.py", f"c = 'DefaultEndpointsProtocol=https;AccountName=x;Account{'Key'}={BASE64}=='"),
    "Azure SAS": ("a.py", f"url = 'https://x.blob.core.windows.net/c?sv=2020&si{'g'}={some(43)}%3D'"),
    "Azure service bus": ("a.yaml", f"bus: Endpoint=sb://x/;SharedAccess{'Key'}={some(43)}="),
    "GitHub": ("a.txt", f"gh{'p'}_{some(36)}"),
    "GitHub fine-grained": ("a.txt", f"github_{'pat'}_{some(60)}"),
    "GitHub app": ("a.md", f"as `gh{'s'}_{some(36)}`"),
    "GitLab": ("a.toml", f"x = 'gl{'pat'}-{some(20)}'"),
    "GitLab runner": ("a.toml", f"x = 'gl{'rt'}-{some(20)}'"),
    "Hugging Face": ("a.py", f"login('h{'f'}_{some(34)}')"),
    "OpenAI": ("a.py", f"OpenAI('s{'k'}-proj-{some(48)}')"),
    "Anthropic": ("a.py", f"Client('s{'k'}-ant-api03-{some(80)}')"),
    "Stripe": ("a.rb", f"Stripe.x = 's{'k'}_live_{some(24)}'"),
    "Stripe restricted": ("a.rb", f"r{'k'}_live_{some(24)}"),
    "Slack bot": ("a.py", f"WebClient('xox{'b'}-{some(12, string.digits)}-{some(24)}')"),
    "Slack app": ("a.py", f"'xa{'pp'}-1-A0{some(9)}-{some(40)}'"),
    "Slack webhook": ("a.py", f"post('https://hooks.slack.com/{'services'}/T{some(8)}/B{some(8)}/{some(24)}')"),
    "Discord webhook": ("a.py", f"'https://discord.com/api/web{'hooks'}/{some(18, string.digits)}/{some(60)}'"),
    "Discord bot": ("a.py", f"run('M{some(23)}.{some(6)}.{some(27)}')"),
    "Teams webhook": ("a.py", f"'https://x.webhook.office.com/web{'hook'}b2/{some(36)}@{some(36)}'"),
    "Telegram": ("a.py", f"Bot('{some(9, string.digits)}:AA{some(33)}')"),
    "Twilio": ("a.txt", f"S{'K'}{some(32, _HEX)}"),
    "SendGrid": ("a.txt", f"S{'G'}.{some(22)}.{some(43)}"),
    "Mailgun": ("a.txt", f"ke{'y'}-{some(32, _HEX)}"),
    "Mailchimp": ("a.txt", f"{some(32, _HEX)}-us{'12'}"),
    "npm": ("a.txt", f"np{'m'}_{some(36)}"),
    "npmrc": ("npmrc", f"//registry.invalid/:_auth{'Token'}={some(36)}"),
    "PyPI": ("a.txt", f"py{'pi'}-{some(60)}"),
    "Databricks": ("a.txt", f"da{'pi'}{some(32, _HEX)}"),
    "DigitalOcean": ("a.txt", f"do{'p'}_v1_{some(64, _HEX)}"),
    "Shopify": ("a.txt", f"sh{'pat'}_{some(32, _HEX)}"),
    "Linear": ("a.txt", f"lin_{'api'}_{some(40)}"),
    "Notion": ("a.txt", f"nt{'n'}_{some(46)}"),
    "Atlassian": ("a.txt", f"ATA{'TT3'}{some(60)}"),
    "Doppler": ("a.txt", f"dp{'.pt'}.{some(40)}"),
    "Grafana": ("a.txt", f"gl{'sa'}_{some(32)}_{some(8, _HEX)}"),
    "New Relic": ("a.txt", f"NR{'AK'}-{some(27, string.ascii_uppercase + string.digits)}"),
    "Sentry": ("a.txt", f"sntr{'ys'}_{some(60)}"),
    "Vault": ("a.txt", f"hv{'s'}.{some(90)}"),
    "Terraform": ("a.txt", f"{some(14)}.atlas{'v1'}.{some(60)}"),
    "Pulumi": ("a.txt", f"pu{'l'}-{some(40, _HEX)}"),
    "Postman": ("a.txt", f"PM{'AK'}-{some(24, _HEX)}-{some(34, _HEX)}"),
    "Replicate": ("a.txt", f"r{'8'}_{some(37)}"),
    "Groq": ("a.txt", f"gs{'k'}_{some(52)}"),
    "Kaggle": ("a.json", f'{{"username": "me", "ke{"y"}": "{some(32, _HEX)}"}}'),
    "Weights & Biases": ("a.sh", f"export WANDB_API_{'KEY'}={some(40, _HEX)}"),
    "RSA": ("a.txt", f"-----BEGIN RSA PRIVATE {'KEY'}-----"),
    "OpenSSH": ("a.txt", f"-----BEGIN OPENSSH PRIVATE {'KEY'}-----"),
    "PuTTY": ("a.txt", f"PuTTY-User-Key-{'File'}-2: ssh-rsa"),
    "age": ("a.txt", f"AGE-SECRET-{'KEY'}-1{some(58, string.ascii_uppercase + string.digits)}"),
    "JSON Web Token": ("a.txt", jwt()),
    "bearer": ("a.http", f"Authorization: {'Bearer'} {some(24)}"),
    "basic": ("a.http", f"Authorization: {'Basic'} {base64.b64encode(b'me:' + some(9).encode()).decode()}"),
    "header in code": ("a.py", f"headers = {{'Author{'ization'}': 'Token {some(20)}'}}"),
    "own header": ("a.sh", f"curl -H 'X-Api-{'Key'}: {some(20)}' https://host.invalid"),
    "curl": ("a.sh", f"curl -u me:{some(10)} https://host.invalid"),
    "option": ("a.sh", f"gatewise --pass{'word'} {some(9)}"),
    "address": ("a.py", f"'postgresql://me:{some(8)}@host/db'"),
    "address of a server": ("a.yaml", f"uri: https://me:{some(8)}@host.invalid:5000"),
    "query": ("a.py", f"get('https://host.invalid/x?access_{'token'}={some(24)}')"),
    "netrc": ("a.txt", f"machine host.invalid login me {'password'} {some(8)}"),
    "htpasswd": ("a.txt", f"me:$apr{'1'}${some(8)}${some(22)}"),
    "shadow": ("a.txt", f"me:${'6'}${some(16)}${some(86)}"),
    "token in YAML": ("a.yaml", f"to{'ken'}: {some(20)}"),
    "password in YAML": ("a.yaml", f"pass{'word'}: correcthorse"),
    "password in code": ("a.py", f"PASS{'WORD'} = 'correcthorse'"),
    "typed": ("a.py", f"api_{'key'}: str = '{some(20)}'"),
    "in a dictionary": ("a.py", f"config['sec{'ret'}'] = '{some(20)}'"),
    "keyword": ("a.py", f"connect(user='me', pass{'wd'}='{some(9)}')"),
    "in camel case": ("a.json", f'"clientSec{"ret"}": "{some(20)}"'),
    "connection string": ("a.json", f'"connection{"String"}": "Server=x;Uid=me;Pwd={some(10)};"'),
    "INI": ("a.ini", f"smtp_pass{'word'} = {some(10)}"),
    "environment": ("a.sh", f"export MLFLOW_TRACKING_TO{'KEN'}={some(12)}"),
    "Docker": ("a.json", f'"au{"th"}": "{base64.b64encode(b"me:" + some(12).encode()).decode()}"'),
    "Kubernetes": ("a.yaml", f"client-key-{'data'}: {BASE64}"),
    "German": ("a.yaml", f"Kenn{'wort'}: {some(9)}"),
    "random": ("a.py", f"x = '{some(43)}'"),
}
FILES = (
    *(
        ".env",
        ".env.production",
        "prod.env",
        ".netrc",
        "netrc",
        "_netrc",
        ".pgpass",
        "server.pem",
        "tls.key",
        "app.p12",
    ),
    *("id_rsa", "id_ed25519", ".npmrc", ".pypirc", ".htpasswd", "kaggle.json", "kubeconfig", "prod.tfvars", "x.kdbx"),
    *(
        "service-account.json",
        "client_secret_1.json",
        "credentials.json",
        "secrets.toml",
        "passwords.txt",
        "token.json",
    ),
    *(".aws/config", ".ssh/known", ".kube/config", ".dvc/config.local", ".streamlit/secrets.toml"),
)
ORDINARY = {
    "a.py": [
        'UNKNOWN_TOKEN = "[UNK]"',
        "def first_token(tokens: list[str], token: str = '') -> str:",
        "token = tokens[index]; password = getpass.getpass()",
        "secret = os.environ['MLFLOW_TRACKING_PASSWORD']",
        "api_key = settings.api_key or read_key(path)",
        "if token == 'unknown1': pass",
        f"_SHA256 = '{some(64, _HEX)}'",
        f"commit = '{some(40, _HEX)}'",
        "run = 'c3ab8ff1-3720-4e8a-9a2b-0f1d2c3b4a59'",
        'headers["Authorization"] = f"Bearer {token}"',
        'password = "<your password>"',
        "compass = 'north-east-1'",
        "parser.add_argument('--password', help='of the server')",
        "url = 'https://tracking.invalid:5000/api?at=me@home'",
        "the_risk_averse_and_task_oriented_approach = 'sk-learn-is-no-key'[:2]",
        "from pipeline.tokens.tokenized import TokenizedSplits",
    ],
    "params.yaml": [
        "tokens: data/processed/tokens.npz",
        "tokenizer: bpe",
        "max_tokens: 500",
        "password: ${PASSWORD}",
        f"md5: {some(32, _HEX)}.dir",
        "author: someone2024",
        "key: value1234567",
    ],
    "a.md": [
        "Set `MLFLOW_TRACKING_TOKEN=<token>` first; a token: one word of a text.",
        "The password is asked for, and `--token $TOKEN` hands it on.",
        "gatewise run dataset=imdb preset=strong seeds=1,2,3",
    ],
}


@pytest.mark.parametrize("kind", SECRETS)
def test_a_secret_is_found_in_a_line_and_in_a_change(kind: str) -> None:
    name, line = SECRETS[kind]
    assert len(SECRETS) >= 60
    (found,) = secrets_in(name, f"first\n{line}\nlast\n")
    assert found.startswith("line 2: ")
    diff = (
        f"diff --git a/{name} b/{name}\n--- a/{name}\n+++ b/{name}\n@@ -7,2 +7,3 @@ def f():\n first\n+{line}\n last\n"
    )
    (found,) = secrets_in_changes(name, diff)
    assert found.startswith("line 8: ")
    (found,) = secrets_in_changes(name, diff.replace(f"+{line}", f"-{line}"))
    assert found.startswith("a removed line: ")
    values = [word for word in line.replace("'", " ").replace('"', " ").split() if len(word) > 7]
    assert not any(value in found for value in values if value not in ("password", "Authorization:"))


@pytest.mark.parametrize("name", FILES)
def test_a_file_for_secrets_is_known_by_its_name(name: str) -> None:
    assert is_secret_file(name)
    assert secrets_in_changes(f"folder/{name}", "@@ -0,0 +1 @@\n+x\n") == ["its name"]


@pytest.mark.parametrize(("name", "line"), [(name, line) for name, lines in ORDINARY.items() for line in lines])
def test_ordinary_lines_pass(name: str, line: str) -> None:
    assert secrets_in(name, line) == []


def test_our_own_code_passes() -> None:
    files = [*(ROOT / "pipeline").rglob("*.py"), *(ROOT / name for name in ("dvc.yaml", "params.yaml", "presets.yaml"))]
    assert len(files) > 50
    assert [(file, found) for file in files if (found := secrets_in(file.name, file.read_text()))] == []
    assert [file for file in files if is_secret_file(file.relative_to(ROOT).as_posix())] == []


def test_the_code_of_a_model_is_held_back_with_the_line_named(tmp_path: Path) -> None:
    code = shutil.copytree(ROOT / "pipeline" / "packaging", tmp_path / "pipeline", ignore=lambda *_: ["__pycache__"])
    check_code(code)
    (code / "classifier.py").write_text(f"import os\n\n{SECRETS['header in code'][1]}\n")
    with pytest.raises(HeldBackError, match=r"^pipeline/classifier\.py line 3: [^;]+$"):
        check_code(code)
