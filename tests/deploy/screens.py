"""Takes the pictures of the status page and of `rerank-worker top` from workers under load."""

from __future__ import annotations

import io
import time
from typing import TYPE_CHECKING

from rich.console import Console

from tests.support.browser import Browser
from worker.tools.local.children import free_port
from worker.tools.top.scrapes import Scraper
from worker.tools.top.tables import screen

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.line import Worker

_LOOK_S = 10.0  # what `top` shows is of so long
_COLUMNS = 132
_DRAWN = "document.querySelector('svg path')?.getAttribute('d')?.length > 0"


def picture_status_page(worker: Worker, folder: Path, path: Path) -> None:
    """Write what a browser shows at a worker's `/`, as a PNG; `folder` is for the browser."""
    with Browser(folder) as browser:
        browser.open(f"http://127.0.0.1:{worker.port}/")
        browser.until("lines are drawn", lambda: bool(browser.ask(_DRAWN)))
        path.write_bytes(browser.picture())


def picture_top(workers: list[Worker], path: Path) -> None:
    """Write what `top` shows of these workers, and of one that does not answer, as an SVG."""
    ports = [*(worker.port for worker in workers), free_port()]
    scraper = Scraper([f"http://127.0.0.1:{port}" for port in ports], timeout_s=3)
    scraper.scrape()
    time.sleep(_LOOK_S)
    console = Console(record=True, file=io.StringIO(), width=_COLUMNS, highlight=False, force_terminal=True)
    console.print(screen(scraper.scrape(), partitions=6))
    path.write_text(console.export_svg(title="rerank-worker top"))
