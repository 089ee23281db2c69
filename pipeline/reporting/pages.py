"""HTML pages from Jinja templates. A page needs no other file: its pictures are in it."""

import base64
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def render(template: Path, **values: Any) -> str:
    """Fill a template. Text is escaped, and a value that is missing is an error."""
    templates = Environment(
        loader=FileSystemLoader(template.parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    return templates.get_template(template.name).render(**values)


def png_address(content: bytes) -> str:
    """Write the bytes of a PNG as an address that a page can hold."""
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"
