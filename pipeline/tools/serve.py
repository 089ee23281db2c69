"""Serve a model over HTTP: raw text in, label and probabilities out. What `make serve` does.

    python -m pipeline.tools.serve                          # the champion, on http://127.0.0.1:5001
    python -m pipeline.tools.serve --model models:/m-… --port 8000

    curl localhost:5001/invocations -H "Content-Type: application/json" \
        -d '{"dataframe_records": [{"text": "A dull, lifeless film."}]}'

The server is MLflow's own, in the environment at hand. It also takes CSV (`Content-Type: text/csv`, with a header
`text`). Whatever is no list of texts gets status 400 and a sentence.
"""

import argparse
import os
import sys

from pipeline.parts.command import InputError, run, search_path
from pipeline.parts.params import read_params
from pipeline.parts.ports import check_port
from pipeline.parts.registry import MLFLOW_SCHEMES, Registry


def served(wanted: str | None, registry: Registry) -> str:
    """The MLflow URI of the model to serve: the very version, because the champion may change meanwhile.

    Raises:
        InputError: there is no champion, or no such model.
    """
    if wanted is not None:
        if not wanted.startswith(MLFLOW_SCHEMES):
            raise InputError(f"--model must be {' or '.join(MLFLOW_SCHEMES)}…. Received: {wanted}")
        return registry.resolve(wanted)
    champion = registry.champion()
    if champion is None:
        raise InputError(f"{registry.model} has no champion; name one with: make promote")
    return f"models:/{registry.model}/{champion.number}"


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve a model over HTTP: raw text in, label and probabilities out.")
    parser.add_argument("--model", help="models:/… or runs:/… (default: the champion)")
    parser.add_argument("--port", type=int, default=5001)
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0 lets other machines in")
    parser.add_argument("--workers", type=int, default=1, help="processes, each with a copy of the model")
    arguments = parser.parse_args()
    check_port(arguments.host, arguments.port)
    registry = Registry(read_params().dataset)
    uri = served(arguments.model, registry)
    print(f"serving {uri} on http://{arguments.host}:{arguments.port} (stop it with Ctrl-C)", flush=True)
    os.environ["MLFLOW_TRACKING_URI"] = registry.uri
    # MLflow starts `uvicorn`: it has to be the one of this environment.
    os.environ["PATH"] = search_path()
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", uri, "--env-manager", "local"]
    command += ["--host", arguments.host, "--port", str(arguments.port), "--workers", str(arguments.workers)]
    os.execv(sys.executable, command)


if __name__ == "__main__":
    run(main)
