"""The Rust core: bytes in, Python objects out. It knows no paths and no policy."""

from typing import Any, Final, Self, final

__all__ = ["DEBUG", "LineDecoder", "__version__", "decode", "encode_base64"]

__version__: Final[str]
DEBUG: Final[bool]
"""Whether this is a build without optimisation, which nobody should measure."""

def decode(data: bytes, /) -> Any:
    """Decode one JSON text into dicts, lists, strings, numbers, bools and None.

    Raises ValueError, with the place and the beginning of *data*, if it is not JSON.
    """

def encode_base64(data: bytes, /) -> str:
    """Encode *data* in standard base64 with padding."""

@final
class LineDecoder:
    """Turn the chunks of an NDJSON body into one Python object per line."""

    def __new__(cls) -> Self: ...
    def feed(self, chunk: bytes, /) -> Self:
        """Take *chunk* and give the decoder itself, an iterator over the lines that are complete by now.

        A line that is not JSON raises a ValueError when its turn comes, after the parts before it.
        """

    def close(self) -> Self:
        """Say that no more bytes come, and give the decoder itself for a last line without newline.

        A last line that is only the beginning of JSON raises an EOFError.
        """

    def __iter__(self) -> Self: ...
    def __next__(self) -> Any: ...
