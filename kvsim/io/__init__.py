"""Outside formats to specs, results to the outside; facts are read here, decisions are not made."""
