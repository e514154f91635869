"""What a compiled program does, read from the text of its optimised HLO.

A program is a list of computations of instructions.  Instructions that run are those of the entry, and of the bodies,
branches and asynchronous computations that they call; what a fusion calls is inside one kernel.  XLA does not say how
often each branch of a conditional runs, nor how often a loop runs whose length is not constant: the reader does.
"""

import math
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

HEADER = re.compile(r"(ENTRY )?%?([\w.\-]+) \(.*\{$")
INSTRUCTION = re.compile(r"\s+(?:ROOT )?%?([\w.\-]+) = (.*)")
ARRAY = re.compile(r"\b([a-z]+\d*)[a-z0-9]*\[([\d,]*)\](?:\{([^{}]*)\})?")
NAME = re.compile(r"%([\w.\-]+)")
CALLED = re.compile(
    r"\b(calls|to_apply|body|condition|branch_computations|(?:true|false)_computation)=\{?((?:%[\w.\-]+(?:, )?)+)"
)
CYCLES = re.compile(r'"estimated_cycles":"(\d+)"')
TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"\}')
CHANNEL = re.compile(r"channel_id=(\d+)")
NUMBER = re.compile(r"s32\[\]\S* constant\((\d+)\)")
COLLECTIVES = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute")
FREE = {"parameter", "constant", "get-tuple-element", "tuple", "bitcast", "while", "conditional", "call", "after-all"}
"""Opcodes that move nothing."""
TAKES = {"slice", "dynamic-slice", "gather"}
"""Opcodes that read a part of their first operand."""
MATRIX = {"convolution", "dot"}
"""Opcodes that run in the matrix unit."""
SMALL = 4
"""Bytes of the context of an asynchronous copy."""


class Instruction(NamedTuple):
    """An instruction; `shape` is that of its result, `called` are the names of computations by attribute."""

    name: str
    shape: str
    opcode: str
    operands: tuple[str, ...]
    called: Mapping[str, tuple[str, ...]]
    text: str


class Program(NamedTuple):
    """A program: instructions by computation, the name of the computation that runs first, whether it has cycles."""

    computations: Mapping[str, tuple[Instruction, ...]]
    entry: str
    has_cycles: bool


class Cost(NamedTuple):
    """What instructions cost; a part that runs in one step of four counts a quarter.

    `cycles` are those that the TPU's compiler estimates, without waits for memory and network; `matrix_cycles` those of
    kernels with a matrix product or convolution.  `hbm_bytes` are read from or written to the memory of the device.
    `collectives` are the number and the bytes by opcode: of the results, of a reduce-scatter of what is reduced.
    """

    cycles: float = 0.0
    matrix_cycles: float = 0.0
    hbm_bytes: float = 0.0
    kernels: float = 0.0
    collectives: Mapping[str, tuple[float, float]] = {}

    def plus(self, other: "Cost", times: float = 1.0) -> "Cost":
        """The sum with another cost that is paid several times."""
        collectives = dict(self.collectives)
        for kind, (count, size) in other.collectives.items():
            before = collectives.get(kind, (0.0, 0.0))
            collectives[kind] = before[0] + times * count, before[1] + times * size
        cycles, matrix_cycles, num_bytes, kernels = (
            mine + times * theirs for mine, theirs in zip(self[:4], other[:4], strict=True)
        )
        return Cost(cycles, matrix_cycles, num_bytes, kernels, collectives)


def parse(text: str) -> Program:
    """The program that XLA prints."""
    computations, entry, current = {}, "", []
    for line in text.splitlines():
        if header := HEADER.match(line):
            current = computations.setdefault(header[2], [])
            entry = header[2] if header[1] else entry
        elif instruction := INSTRUCTION.match(line):
            current.append(_instruction(instruction[1], instruction[2]))
    found = {name: tuple(instructions) for name, instructions in computations.items()}
    return Program(found, entry, has_cycles=CYCLES.search(text) is not None)


def _instruction(name: str, text: str) -> Instruction:
    end = _end(text) if text.startswith("(") else text.index(" ")
    shape, rest = text[:end], text[end:].strip()
    opcode, _, rest = rest.partition("(")
    close = _end("(" + rest) - 2
    called = {attribute: tuple(NAME.findall(names)) for attribute, names in CALLED.findall(rest[close:])}
    return Instruction(name, shape, opcode, tuple(NAME.findall(rest[:close])), called, text)


def _end(text: str) -> int:
    """The index after the bracket that closes the first one."""
    depth = 0
    for index, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth == 0:
            return index + 1
    return len(text)


def num_bytes(shape: str, *, hbm_only: bool = False) -> int:
    """The size of the arrays in a shape, without padding; arrays in other memories than the device's are marked `S(n)`.

    >>> num_bytes("(f32[2,3]{1,0:T(8,128)}, pred[5]{0:T(512)S(1)})"), num_bytes("pred[5]{0:S(1)}", hbm_only=True)
    (29, 0)
    """
    return sum(
        _bits(kind) * math.prod(int(length) for length in dims.split(",") if length) // 8
        for kind, dims, layout in ARRAY.findall(shape)
        if not (hbm_only and re.search(r"S\([1-9]", layout))
    )


def _bits(kind: str) -> int:
    bits = re.search(r"\d+", kind)
    return int(bits[0]) if bits else 8 * (kind == "pred")


def cost(program: Program, often: float = 1.0, computation: str | None = None) -> Cost:
    """The cost of a computation, by default of the whole program.

    `often` is the share of the steps in which a conditional takes another branch than its first.  A loop whose length
    is not constant counts as one step.
    """
    instructions = program.computations[computation or program.entry]
    shapes = {instruction.name: instruction.shape for instruction in instructions}
    total, seen = Cost(), set()
    for instruction in instructions:
        total = total.plus(_own(program, instruction, shapes))
        total = total.plus(Cost(collectives=_collectives(program, instruction, shapes, seen)))
        for name, times in _called(program, instruction, often):
            total = total.plus(cost(program, often, name), times)
    return total


def step_loop(program: Program) -> str | None:
    """The body of the entry's loop whose length is not constant: of a dispatch, the computation that is a step."""
    bodies = [one.called["body"][0] for one in _loops(program, program.entry) if _trips(program, one) is None]
    return max(bodies, key=lambda body: len(program.computations[body]), default=None)


def has_inner_loops(program: Program) -> bool:
    """Whether a step, or a program without steps, holds loops: XLA counts the operations of one turn of each."""
    return any(_loops(program, step_loop(program) or program.entry))


def running(program: Program, computation: str | None = None) -> Iterator[Instruction]:
    """All instructions that run, each once."""
    for instruction in program.computations[computation or program.entry]:
        yield instruction
        for name, _ in _called(program, instruction, 1.0):
            yield from running(program, name)


def copies(program: Program, elements: int) -> list[Instruction]:
    """The instructions that make an array of at least that many elements in the memory of the device."""

    def is_large(shape: str) -> bool:
        arrays = ARRAY.findall(shape)
        sizes = [math.prod(int(length) for length in dims.split(",") if length) for _, dims, _ in arrays]
        return max(sizes, default=0) >= elements

    return [one for one in running(program) if one.opcode not in FREE and is_large(one.shape)]


def _loops(program: Program, computation: str) -> Iterator[Instruction]:
    return (one for one in running(program, computation) if one.opcode == "while")


def _trips(program: Program, loop: Instruction) -> int | None:
    """The turns of a loop of constant length, which ends where its counter from 0 is no longer below a constant."""
    if trips := TRIPS.search(loop.text):
        return int(trips[1])
    conditions = [program.computations.get(name, ()) for name in loop.called.get("condition", ())]
    own = [one for condition in conditions for one in condition]  # the TPU's compiler says it nowhere else
    inside = [*own, *(fused for one in own for fused in _fused(program, one))]
    numbers = [number[1] for one in inside if (number := NUMBER.search(one.text))]
    return int(numbers[0]) if len(numbers) == 1 else None


def _called(program: Program, instruction: Instruction, often: float) -> Iterator[tuple[str, float]]:
    """The computations that an instruction runs, and how often."""
    called = instruction.called
    if instruction.opcode == "while":
        yield called["body"][0], float(_trips(program, instruction) or 1)
    elif instruction.opcode == "conditional":
        branches = called.get("branch_computations") or (called["false_computation"] + called["true_computation"])
        for index, branch in enumerate(branches):
            yield branch, often / max(1, len(branches) - 1) if index else 1.0 - often
    elif instruction.opcode == "call":
        yield called["to_apply"][0], 1.0


def _own(program: Program, instruction: Instruction, shapes: Mapping[str, str]) -> Cost:
    """The cost of one instruction, without that of the computations that it runs."""
    if instruction.opcode in FREE or instruction.opcode.endswith(("-done", "-update")):
        return Cost()
    inside = [instruction, *_fused(program, instruction)]
    cycles = CYCLES.search(instruction.text)
    spent = float(cycles[1]) if cycles else 0.0
    is_kernel = cycles is not None or not program.has_cycles
    is_matrix = any(one.opcode in MATRIX for one in inside)
    return Cost(spent, spent * is_matrix, _traffic(program, instruction, shapes), float(is_kernel))


def _collectives(
    program: Program, instruction: Instruction, shapes: Mapping[str, str], seen: set[tuple[str, ...]]
) -> dict[str, tuple[float, float]]:
    """The collectives of an instruction, but for parts of those in `seen`, to which it adds its own.

    The TPU's compiler may split one among fusions that share its channel, and it fuses a reduce-scatter as an
    all-reduce of which a part is kept.  Others may share a channel too.
    """
    scatters = any(name.startswith("all-reduce-scatter") for name in instruction.called.get("calls", ()))
    found = {}
    for one in (instruction, *_fused(program, instruction)):
        kind, channel = one.opcode.removesuffix("-start"), CHANNEL.search(one.text)
        part = (kind, channel[1], str(num_bytes(one.shape))) if channel else ()
        if kind not in COLLECTIVES or part in seen:
            continue
        if channel and one is not instruction and not scatters:
            seen.add(part)
        operands = sum(num_bytes(shapes.get(name, "")) for name in one.operands)
        size = operands if kind == "reduce-scatter" else num_bytes(one.shape)
        kind = "reduce-scatter" if scatters and kind == "all-reduce" else kind
        count, before = found.get(kind, (0.0, 0.0))
        found[kind] = count + 1.0, before + size
    return found


def _fused(program: Program, instruction: Instruction) -> Iterator[Instruction]:
    """The instructions inside a fusion or an asynchronous one."""
    for name in instruction.called.get("calls", ()):
        for one in program.computations[name]:
            yield one
            yield from _fused(program, one)


def _traffic(program: Program, instruction: Instruction, shapes: Mapping[str, str]) -> float:
    """The bytes that an instruction reads from and writes to the memory of the device.

    Of an array that is only sliced or gathered from, what is taken counts; of one that is updated in place, the update.
    """
    opcode, operands = instruction.opcode, [shapes.get(name, "") for name in instruction.operands]
    if opcode.endswith("-start"):  # (destination, source, ...), one of which is often in another memory
        arrays = [shape for shape in _arrays(instruction.shape) if num_bytes(shape) > SMALL]
        moved = min(map(num_bytes, arrays), default=0)
        return moved * sum(num_bytes(shape, hbm_only=True) > 0 for shape in arrays)
    if opcode == "fusion":
        inside = program.computations[instruction.called["calls"][0]]
        reads = sum(_read(inside, index, shape) for index, shape in enumerate(operands))
        return reads + _written(inside, instruction.shape)
    if opcode in TAKES:
        return 2.0 * num_bytes(instruction.shape, hbm_only=True)
    if opcode == "dynamic-update-slice":
        return 2.0 * num_bytes(operands[1])
    return sum(num_bytes(shape, hbm_only=True) for shape in (*operands, instruction.shape))


def _arrays(shape: str) -> list[str]:
    """The arrays of a shape, one by one."""
    return [match[0] for match in ARRAY.finditer(shape)]


def _read(inside: tuple[Instruction, ...], index: int, shape: str) -> float:
    """The bytes that a fusion reads of an operand of that shape."""
    names = {one.name for one in inside if one.opcode == "parameter" and f"parameter({index})" in one.text}
    for one in inside:  # in order: a bitcast comes before what reads it
        if one.opcode == "bitcast" and names & {*one.operands}:
            names.add(one.name)
    readers = [one for one in inside if one.opcode != "bitcast" and names & {*one.operands}]
    whole = float(num_bytes(shape, hbm_only=True))
    taken = [
        num_bytes(one.shape) if one.opcode in TAKES else 0 if one.opcode == "dynamic-update-slice" else whole
        for one in readers
        if one.operands[0] in names or one.opcode not in TAKES
    ]
    return min(whole, sum(taken)) if readers else 0.0


def _written(inside: tuple[Instruction, ...], shape: str) -> float:
    """The bytes of a fusion's results of that shape."""
    by_name, root = {one.name: one for one in inside}, inside[-1]
    made = [by_name.get(name, root) for name in root.operands] if root.opcode == "tuple" else [root]
    total = 0.0
    for one, array in zip(made, _arrays(shape), strict=False):
        updates = one.opcode == "dynamic-update-slice"
        size = num_bytes(by_name[one.operands[1]].shape) if updates else num_bytes(array)
        total += size * (num_bytes(array, hbm_only=True) > 0)
    return total
