"""What the server keeps for good, out of the way of the collection that ends every run."""

import gc
import sys

import streamlit as st


def keep() -> None:
    """Leave what is there out of every later collection, once more after each page's first run.

    Streamlit looks for garbage after every run, among all objects that it does not know to stay;
    nearly all are code, and none of that ends. To look through them is half of what a run costs.
    """
    _keep(len(sys.modules))


@st.cache_resource(show_spinner=False)
def _keep(num_modules: int) -> int:  # noqa: ARG001 - imported by then: what there is to keep
    """How many objects are left out."""
    gc.collect()
    gc.freeze()
    return gc.get_freeze_count()
