"""The page's texts, a module per page: key to (English, Simplified Chinese)."""
