"""Small archives with the layout of IMDB's."""

import io
import tarfile
from pathlib import Path


def imdb_files(films: int = 3) -> dict[str, str]:
    """A tiny Large Movie Review Dataset: one review per film, kind and split, ids from 0, `urls_*.txt` naming films."""
    files = {"README": "Ours.", "imdb.vocab": "the\n", "train/labeledBow.feat": "9 0:1\n"}
    for folder in ("train/pos", "train/neg", "train/unsup", "test/pos", "test/neg"):
        split, _, kind = folder.partition("/")
        titles = [f"{split}-{kind}-{film}" for film in range(films)]
        files[f"{split}/urls_{kind}.txt"] = "".join(
            f"http://www.imdb.com/title/{name}/usercomments\n" for name in titles
        )
        for film, title in enumerate(titles):
            files[f"{folder}/{film}_{8 if kind == 'pos' else 2}.txt"] = f"This is {title}.<br /><br />Étrange!"
    return files


def imdb_archive(path: Path, files: dict[str, str], prefix: str = "aclImdb/") -> Path:
    """Pack the files in the order given."""
    with tarfile.open(path, "w:gz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(prefix + name)
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    return path


def backwards(files: dict[str, str]) -> dict[str, str]:
    return dict(reversed(files.items()))
