"""The HTTP server: /metrics for Prometheus, /livez and /readyz for Kubernetes, and a page for people at /."""

from worker.server.http_server import HttpServer
from worker.server.options import ServerOptions

__all__ = ["HttpServer", "ServerOptions"]
