"""What the library says in words, in the page's language.

The library's sentences keep their template and values (`kvsim.Message`), so a translation needs no
reading of English. What has none is quoted whole and said to be the original: never half of it.
"""

import kvsim
from app.i18n import Text
from app.text import inert
from app.texts.library import CHINESE


def said(words: str, t: Text) -> str:
    """A sentence of the library as Markdown that shows as it is."""
    if t.language == "en" or not words:
        return inert(words)
    translated = chinese(words)
    if translated is None:
        return t("library_original", words=inert(words))
    return inert(translated)


def words_of(words: str, t: Text) -> str:
    """The same as plain text, for where names and numbers stand beside words; else as it is."""
    return words if t.language == "en" else chinese(words) or words


def chinese(words: str) -> str | None:
    """The sentence in Chinese; None where it, or a sentence within it, has no translation.

    Example:
        >>> chinese("weights"), chinese("no such sentence")
        ('权重', None)
    """
    if not isinstance(words, kvsim.Message):
        return CHINESE.get(words)
    template = CHINESE.get(words.template)
    values = {name: _value(value) for name, value in words.values.items()}
    if template is None or None in values.values():
        return None
    return template.format(**values)


def _value(value: str) -> str | None:
    """A sentence within a sentence; names and numbers stay as they are, but for words."""
    if isinstance(value, kvsim.Message):
        return chinese(value)
    return CHINESE.get(value, value)
