# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Rows as the bytes of a file, bit by bit: CSV (RFC 4180) and Parquet."""

from __future__ import annotations

from collections.abc import Sequence
import csv
import io
from typing import Any
from typing import Protocol


class Table(Protocol):
    """A file that is being written; each call returns the bytes that are ready."""

    media_type: str

    def write(self, rows: Sequence[tuple[Any, ...]]) -> bytes:
        """Append rows."""

    def end(self) -> bytes:
        """Return the last bytes."""


class CsvTable:
    """CSV with a header; numbers as Python writes them, so that they read back as the same."""

    media_type = 'text/csv; charset=utf-8'

    def __init__(self, columns: Sequence[str]):
        self._text = io.StringIO()
        self._writer = csv.writer(self._text)
        self._writer.writerow(columns)

    def write(self, rows: Sequence[tuple[Any, ...]]) -> bytes:
        """Append rows."""
        self._writer.writerows(rows)
        return self._taken()

    def end(self) -> bytes:
        """Return the last bytes."""
        return self._taken()

    def _taken(self) -> bytes:
        content = self._text.getvalue().encode()
        self._text.seek(0)
        self._text.truncate()
        return content


class ParquetTable:
    """Parquet with typed columns, compressed; every call of `write` is a row group."""

    media_type = 'application/vnd.apache.parquet'

    def __init__(self, columns: Sequence[str]):
        import pyarrow
        from pyarrow import parquet

        types = {
            'timestamp_ms': pyarrow.timestamp('ms', tz='UTC'), 'count': pyarrow.int64(),
            'source_id': pyarrow.string(), 'metric': pyarrow.string(), 'tags': pyarrow.string()}
        self._arrow = pyarrow
        # The platform keeps doubles, and so does a column that may hold integers and floats.
        self._schema = pyarrow.schema(
            [(name, types.get(name, pyarrow.float64())) for name in columns])
        self._sink = _Sink()
        self._writer = parquet.ParquetWriter(
            pyarrow.PythonFile(self._sink, mode='w'), self._schema)

    def write(self, rows: Sequence[tuple[Any, ...]]) -> bytes:
        """Append rows."""
        arrays = [
            self._arrow.array(
                [float(value) for value in values] if field.type == self._arrow.float64()
                else values, field.type)
            for field, values in zip(self._schema, zip(*rows, strict=True), strict=True)]
        self._writer.write_table(self._arrow.Table.from_arrays(arrays, schema=self._schema))
        return self._sink.take()

    def end(self) -> bytes:
        """Return the last bytes."""
        self._writer.close()
        return self._sink.take()


class _Sink(io.RawIOBase):
    """Holds what was written until it is taken; positions count from the file's beginning."""

    def __init__(self) -> None:
        super().__init__()
        self._chunks: list[bytes] = []
        self._position = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def write(self, data: Any) -> int:
        chunk = bytes(data)
        self._chunks.append(chunk)
        self._position += len(chunk)
        return len(chunk)

    def take(self) -> bytes:
        """Return what was written since the last call."""
        content = b''.join(self._chunks)
        self._chunks.clear()
        return content
