"""Measures this gateway beside bare nginx, Envoy and Starlette: `make bench`."""
