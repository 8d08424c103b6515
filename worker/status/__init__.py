"""The status page: what the metrics say now, what they said in the last minutes, and the page that shows it."""

from worker.status.document import Status
from worker.status.page import Page, load_page
from worker.status.readings import Reading, Window, quantile

__all__ = ["Page", "Reading", "Status", "Window", "load_page", "quantile"]
