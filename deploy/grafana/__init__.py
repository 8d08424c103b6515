"""The dashboards as code: `make docs` writes their JSON into dashboards/."""
