# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
Writes the source of a reader: lines of Python from a message's CDR bytes to the wanted values.

Plain CDR (XCDR1): four bytes of encapsulation, then every number aligned to its own size,
counted from the end of these four. Whatever lies between two variable-length parts has fixed
offsets, so it is read by one `struct` call; strings and sequences that nobody wants are stepped
over. The text that is generated holds numbers and our own names only, nothing of the user's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from dataclasses import field
from typing import Any

from plexus_bridge.errors import MappingError
from plexus_bridge.mapping.generated import unpacker
from plexus_bridge.mapping.layout import Array
from plexus_bridge.mapping.layout import is_fixed
from plexus_bridge.mapping.layout import Layout
from plexus_bridge.mapping.layout import leaves
from plexus_bridge.mapping.layout import members
from plexus_bridge.mapping.layout import Message
from plexus_bridge.mapping.layout import Primitive
from plexus_bridge.mapping.layout import PRIMITIVES
from plexus_bridge.mapping.layout import Sequence
from plexus_bridge.mapping.layout import String
from plexus_bridge.mapping.paths import Count
from plexus_bridge.mapping.paths import EVERY
from plexus_bridge.mapping.paths import Field
from plexus_bridge.mapping.paths import Index
from plexus_bridge.mapping.paths import Path
from plexus_bridge.mapping.paths import Select
from plexus_bridge.mapping.paths import Slice
from plexus_bridge.mapping.paths import Step

HEADER_BYTES = 4
LARGEST_ALIGNMENT = 8


@dataclass(frozen=True)
class Want:
    """A variable of the generated function and the steps that lead to its value from here."""

    variable: str
    steps: tuple[Step, ...]


@dataclass
class _Position:
    """
    Where the next byte is: `offset` beyond variable ``o``, or from the beginning if `absolute`.

    Its distance from the payload's start is known to be `residue` modulo `modulus`.
    """

    absolute: bool = True
    offset: int = HEADER_BYTES
    modulus: int = LARGEST_ALIGNMENT
    residue: int = 0

    def expression(self, offset: int) -> str:
        if self.absolute:
            return str(offset)
        return f'o+{offset}' if offset else 'o'


@dataclass
class SourceWriter:
    """Collects the function's lines and the objects that they name."""

    byte_order: str
    lines: list[str] = field(default_factory=list)
    names: dict[str, Any] = field(default_factory=dict)
    _indent: int = 2
    _position: _Position = field(default_factory=_Position)
    _reads: list[tuple[int, Primitive, str]] = field(default_factory=list)
    _variables: int = 0

    def write_reader(self, layout: Message, paths: Iterable[Path]) -> None:
        """Write the reading of all paths into variables ``v0``, ``v1`` …"""
        wants = [Want(f'v{index}', path.steps) for index, path in enumerate(paths)]
        self._read(layout, wants, to_end=False)
        self._flush()

    # -- text

    def _line(self, text: str) -> None:
        self.lines.append(' ' * 4 * self._indent + text)

    def _variable(self) -> str:
        self._variables += 1
        return f't{self._variables}'

    def _name(self, prefix: str, value: Any) -> str:
        for name, known in self.names.items():
            if name.startswith(prefix) and known == value:
                return name
        name = f'{prefix}{len(self.names)}'
        self.names[name] = value
        return name

    # -- position

    def _here(self) -> str:
        return self._position.expression(self._position.offset)

    def _skip(self, count: int) -> None:
        self._position.offset += count
        self._position.residue = (self._position.residue + count) % self._position.modulus

    def _align(self, alignment: int) -> None:
        position = self._position
        if position.modulus % alignment == 0:
            self._skip(-position.residue % alignment)
            return
        self._jump(self._here(), 1)
        # The payload begins at byte 4, so distances from there are (o - 4).
        self._line(f'o += ({HEADER_BYTES} - o) & {alignment - 1}')
        self._position = _Position(False, 0, alignment, 0)

    def _jump(self, expression: str, modulus: int, residue: int = 0) -> None:
        """Go on at a place that only the message tells."""
        self._flush()
        if expression != 'o':
            self._line(f'o = {expression}')
        self._position = _Position(False, 0, modulus, residue)

    def _flush(self) -> None:
        """Write the one `struct` call for all numbers noted since the last jump."""
        if not self._reads:
            return
        start = self._reads[0][0]
        form = self.byte_order
        end = start
        for offset, primitive, _ in self._reads:
            form += ('x' if offset - end == 1 else f'{offset - end}x') if offset > end else ''
            form += primitive.code
            end = offset + primitive.size
        unpack = self._name('unpack', unpacker(form))
        variables = ', '.join(variable for _, _, variable in self._reads)
        self._line(f'{variables}, = {unpack}(b, {self._position.expression(start)})')
        self._reads.clear()

    # -- reading

    def _read(self, layout: Layout, wants: list[Want], *, to_end: bool) -> None:
        """Read what is wanted of `layout` here; `to_end` if something is to be read behind it."""
        if not wants:
            if to_end:
                self._step_over(layout)
        elif isinstance(layout, Message):
            self._read_message(layout, wants, to_end=to_end)
        elif isinstance(layout, Primitive):
            self._read_primitive(layout, wants)
        elif isinstance(layout, String):
            self._read_string(layout, wants)
        elif isinstance(layout.element, Primitive):
            self._read_numbers(layout, layout.element, wants)
        elif all(want.steps == (Count(),) for want in wants):
            count = self._read_count(layout)
            self._check_count(layout, count)
            self._copy_count(wants, count)
            if to_end:
                self._step_over_counted(layout, count)
        else:
            self._read_elements(layout, wants)

    def _read_primitive(self, primitive: Primitive, wants: list[Want]) -> None:
        self._align(primitive.size)
        self._reads.append((self._position.offset, primitive, wants[0].variable))
        self._skip(primitive.size)
        self._copy(wants)

    def _copy(self, wants: list[Want]) -> None:
        if len(wants) > 1:
            self._flush()
        for want in wants[1:]:
            self._line(f'{want.variable} = {wants[0].variable}')

    def _read_message(self, message: Message, wants: list[Want], *, to_end: bool) -> None:
        wholes = [want for want in wants if not want.steps]
        inner = [want for want in wants if want.steps]
        leaf_wants = self._wants_of_leaves(message) if wholes else []
        inner += leaf_wants
        rest = list(members(message))
        while rest and (to_end or inner):
            name, layout = rest.pop(0)
            here = [Want(want.variable, want.steps[1:]) for want in inner
                    if want.steps[0] == Field(name)]
            inner = [want for want in inner if want.steps[0] != Field(name)]
            self._read(layout, here, to_end=to_end or bool(inner))
        if wholes:
            self._flush()
            values = ''.join(f'{want.variable}, ' for want in leaf_wants)
            for want in wholes:
                self._line(f'{want.variable} = ({values})')

    def _wants_of_leaves(self, message: Message) -> list[Want]:
        if not all(isinstance(layout, Primitive | Message) and is_fixed(layout)
                   for _, layout in message.fields):
            raise MappingError(
                f'{message.name} cannot be taken as a whole: it has texts or arrays; name one of '
                f'its fields: {", ".join(name for name, _ in message.fields)}')
        wants = []
        for name, layout in message.fields:
            if isinstance(layout, Message):
                wants += [Want(want.variable, (Field(name), *want.steps))
                          for want in self._wants_of_leaves(layout)]
            else:
                wants.append(Want(self._variable(), (Field(name),)))
        return wants

    def _read_count(self, layout: Array | Sequence) -> str:
        """Return an expression for the number of elements; the position is behind it."""
        if isinstance(layout, Array):
            return str(layout.length)
        self._align(4)
        count = self._variable()
        self._reads.append((self._position.offset, PRIMITIVES['uint32'], count))
        self._skip(4)
        self._flush()
        return count

    def _check_count(self, layout: Array | Sequence, count: str) -> None:
        # Every element takes a byte at least. Damaged bytes must not make a loop of four billion.
        if isinstance(layout, Sequence):
            self._line(f'if {count} > len(b): raise ValueError(f"{{{count}}} elements")')

    def _copy_count(self, wants: list[Want], count: str) -> None:
        for want in wants:
            if want.steps == (Count(),):
                self._line(f'{want.variable} = {count}')

    def _read_string(self, string: String, wants: list[Want]) -> None:
        count = self._read_count(Sequence(string))
        decode = 'wide_text' if string.wide else 'text'
        self._jump(self._here(), *self._known())
        self._line(f"{wants[0].variable}, o = {decode}(b, o, {count}, '{self.byte_order}')")
        self._position = _Position(False, 0, 4 if string.wide else 1, 0)
        self._copy(wants)

    def _known(self) -> tuple[int, int]:
        return self._position.modulus, self._position.residue

    def _read_numbers(
            self, layout: Array | Sequence, element: Primitive, wants: list[Want]) -> None:
        count = self._read_count(layout)
        if isinstance(layout, Sequence):
            # An empty sequence is not followed by padding for the elements that it has not.
            self._jump(self._here(), *self._known())
            if element.size > 4:
                self._line(f'if {count}: o += ({HEADER_BYTES} - o) & {element.size - 1}')
                self._position = _Position(False, 0, 4, 0)
        else:
            self._align(element.size)
        here = self._here()
        if any(want.steps == (Count(),) for want in wants):
            self._check_count(layout, count)
            self._copy_count(wants, count)
        for want in wants:
            if want.steps != (Count(),):
                self._pick_number(want, element, here, count)
        self._jump(f'{here}+{count}*{element.size}', min(element.size, 4))

    def _pick_number(self, want: Want, element: Primitive, here: str, count: str) -> None:
        step = want.steps[0] if want.steps else EVERY
        if isinstance(step, Index):
            unpack = self._name('unpack', unpacker(self.byte_order + element.code))
            index = f'{step.index}' if step.index >= 0 else f'{count}{step.index}'
            self._line(f'{want.variable} = None')
            self._line(f'if 0 <= {index} < {count}:')
            self._line(f'    {want.variable}, = {unpack}(b, {here}+({index})*{element.size})')
            return
        dtype = self._name('dtype', self.byte_order + element.dtype)
        picked = _slice_text(step) if isinstance(step, Slice) and step != EVERY else ''
        self._line(f'{want.variable} = view(b, {here}, {count}, {dtype}){picked}')

    def _read_elements(self, layout: Array | Sequence, wants: list[Want]) -> None:
        """Loop over texts, messages or arrays, a list for each value that is wanted of them."""
        columns, picks = self._plan_columns(
            layout.element, [want for want in wants if want.steps != (Count(),)])
        count = self._read_count(layout)
        self._check_count(layout, count)
        self._copy_count(wants, count)
        self._jump(self._here(), 1)
        for column in columns:
            self._line(f'{column.variable}s = []')
        self._line(f'for _ in range({count}):')
        self._indent += 1
        self._read(layout.element, columns, to_end=True)
        self._jump(self._here(), 1)
        for column in columns:
            self._line(f'{column.variable}s.append({column.variable})')
        self._indent -= 1
        for line in picks:
            self._line(line)

    def _plan_columns(self, element: Layout, wants: list[Want]
                      ) -> tuple[list[Want], list[str]]:
        columns = []
        picks = []
        for want in wants:
            step = want.steps[0] if want.steps else EVERY
            column = Want(self._variable(), want.steps[1:])
            columns.append(column)
            values = f'{column.variable}s'
            if isinstance(step, Index):
                picks.append(f'{want.variable} = element({values}, {step.index})')
            elif isinstance(step, Select):
                key = Want(self._variable(), (Field(step.field),))
                columns.append(key)
                own = element.field(step.field) if isinstance(element, Message) else None
                assert isinstance(own, Primitive | String), 'paths are resolved before'
                wanted = self._name('sought', step.sought(own))
                picks.append(
                    f'{want.variable} = select({key.variable}s, {wanted}, {values})')
            else:
                picked = _slice_text(step) if isinstance(step, Slice) and step != EVERY else ''
                picks.append(f'{want.variable} = {values}{picked}')
        return columns, picks

    # -- stepping over what nobody wants

    def _step_over(self, layout: Layout) -> None:
        if isinstance(layout, Message):
            for _, inner in members(layout):
                self._step_over(inner)
        elif isinstance(layout, Primitive):
            self._align(layout.size)
            self._skip(layout.size)
        elif isinstance(layout, String):
            count = self._read_count(Sequence(layout))
            self._jump(f'{self._here()}+{count}' + ('*4' if layout.wide else ''),
                       4 if layout.wide else 1)
        elif isinstance(layout, Array) and is_fixed(layout):
            self._step_over_array(layout)
        else:
            self._step_over_elements(layout)

    def _step_over_array(self, array: Array) -> None:
        if isinstance(array.element, Primitive):
            if array.length:
                self._align(array.element.size)
                self._skip(array.element.size * array.length)
            return
        for _ in range(array.length):
            self._step_over(array.element)

    def _step_over_elements(self, layout: Array | Sequence) -> None:
        self._step_over_counted(layout, self._read_count(layout))

    def _step_over_counted(self, layout: Array | Sequence, count: str) -> None:
        element = layout.element
        self._jump(self._here(), *self._known())
        if isinstance(element, Primitive):
            if element.size > 4:
                self._line(f'if {count}: o += ({HEADER_BYTES} - o) & {element.size - 1}')
            self._jump(f'o+{count}*{element.size}', min(element.size, 4))
        elif is_fixed(element):
            sizes = self._name('sizes', _sizes_by_residue(element))
            self._jump(f'behind(o, {count}, {sizes})', 1)
        else:
            self._check_count(layout, count)
            self._line(f'for _ in range({count}):')
            self._indent += 1
            self._position = _Position(False, 0, 1, 0)
            self._step_over(element)
            self._jump(self._here(), 1)
            self._indent -= 1


def _slice_text(step: Slice) -> str:
    start = '' if step.start is None else step.start
    stop = '' if step.stop is None else step.stop
    return f'[{start}:{stop}]'


def _sizes_by_residue(layout: Layout) -> tuple[int, ...]:
    """
    Return how many bytes a fixed layout takes, for each distance that it can begin at.

    Distances count modulo the layout's largest alignment. Behind its first element with that
    alignment all else is fixed, so from the second element of an array on every size is a
    multiple of it.
    """
    alignment = max(leaf.size for leaf in leaves(layout))
    sizes = []
    for start in range(alignment):
        position = start
        for leaf in leaves(layout):
            position += -position % leaf.size + leaf.size
        sizes.append(position - start)
    return tuple(sizes)
