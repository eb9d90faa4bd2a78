"""A worker's task that ends the worker."""

import os


def die(_shared, _points):
    os._exit(1)
