"""One module per page; each has widgets, one library call, charts."""
