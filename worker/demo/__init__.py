"""A small real model and real queries that ship with the package."""
