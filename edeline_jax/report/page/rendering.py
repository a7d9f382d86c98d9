"""Fills the templates. What comes from run folders is foreign: everything is escaped, and the page may load nothing."""

import datetime
from typing import Any

from etils.epath import Path

from edeline_jax.report.table import figure
from edeline_jax.runtime.files import writing


def write_page(path: Path, template: str, **values: Any) -> None:
    """Writes a page; raises UserError if it cannot be written, and leaves nothing half-written."""
    import jinja2  # with the page only: a run that draws nothing does without

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("edeline_jax.report.page"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["figure"] = figure
    now = datetime.datetime.now().astimezone()
    text = environment.get_template(template).render(written=f"{now:%Y-%m-%d %H:%M %Z}", **values)
    with writing(path) as file:
        file.write(text.encode("utf-8", "replace"))
