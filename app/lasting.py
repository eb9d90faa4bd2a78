"""What the server keeps for good, out of the way of the collection that ends every run."""

import gc

import streamlit as st


@st.cache_resource(show_spinner=False)
def keep() -> int:
    """Objects that are there after the server's first run: nearly all are code, none ends.

    Streamlit looks for garbage after every run, among all objects that it does not know to stay:
    half of what a run costs.
    """
    gc.collect()
    gc.freeze()
    return gc.get_freeze_count()
