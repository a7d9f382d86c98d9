"""Reads the HLO text of a program compiled for a GPU: the kernels that one update launches, with their bytes and FLOPs.

What is read is the final, scheduled module, in which every instruction but the free ones is one kernel.
"""

import functools
import math
import re
from collections.abc import Callable
from typing import NamedTuple

from benchmarks.hlo import called, computations, entry, type_bytes

_INSTRUCTION = re.compile(r"\s+(?P<root>ROOT )?%(?P<name>[\w.-]+) = (?P<type>\(.*?\)|\S+) (?P<op>[\w-]+)\((?P<rest>.*)")
_TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"')
_TARGET = re.compile(r'custom_call_target="([^"]*)"')
_FREE = {"parameter", "tuple", "get-tuple-element", "bitcast", "constant", "after-all", "partition-id", "replica-id"}
_SLICES = {"slice", "dynamic-slice", "gather"}
# what XLA leaves out of its CUDA graphs by default, and how many kernels in a row make one
_NOT_IN_GRAPHS = {"convolution"}
SMALLEST_GRAPH = 5


class Instruction(NamedTuple):
    """A line of a computation; `operands` are names."""

    name: str
    type: str
    op: str
    operands: list[str]
    line: str
    is_root: bool


class Kernel(NamedTuple):
    """A kernel that is launched `times` times, with what each launch reads, writes and computes.

    kind: convolution, product (of matrices), reduction, concatenation, or elementwise, which has all the rest.
    flops: of convolutions and products.
    """

    name: str
    kind: str
    times: int
    bytes: int
    flops: int


class Card(NamedTuple):
    """What a card's kernels move and compute at most."""

    bandwidth: float  # bytes/s
    rate: float  # FLOP/s


KINDS = "convolution", "product", "reduction", "concatenation", "elementwise"
GAP = 1.5e-6  # seconds between two launches in a CUDA graph
Module = dict[str, dict[str, Instruction]]


def read(text: str) -> Module:
    """The instructions of every computation, by its name and theirs, in the order in which they run."""
    module = {}
    for name, lines in computations(text).items():
        matches = filter(None, map(_INSTRUCTION.match, lines))
        module[name] = {match["name"]: _instruction(match) for match in matches}
    return module


def launches(text: str) -> list[Kernel]:
    """The kernels of one iteration of the outermost loop, or of the whole program if it has none.

    Inner loops are multiplied by their trip count. A loop without a known one is left out, and so is all but the
    shortest branch of a conditional: both are restarts, which happen at random.
    """
    module = read(text)

    @functools.cache
    def once(computation: str) -> list[Kernel]:
        return [kernel for instruction in module[computation].values() for kernel in of(instruction, computation)]

    def of(instruction: Instruction, computation: str) -> list[Kernel]:
        if instruction.op in _FREE or instruction.op.endswith("-done"):
            return []
        if instruction.op == "while":
            return repeated(once(_role(instruction, "body")), _trips(instruction))
        if instruction.op == "conditional":
            return min((once(branch) for _, branch in called(instruction.line)), key=len)
        if instruction.op == "call":
            return once(_role(instruction, "to_apply"))
        return [_kernel(instruction, module[computation], module)]

    def repeated(kernels: list[Kernel], times: int) -> list[Kernel]:
        return [kernel._replace(times=kernel.times * times) for kernel in kernels] if times else []

    main = entry(text)
    loops = [once(_role(loop, "body")) for loop in module[main].values() if loop.op == "while"]
    return max(loops, key=len, default=once(main))


def projected(kernels: list[Kernel], card: Card) -> dict[str, float]:
    """Counts, gigabytes, GFLOP and milliseconds on a card, by name with unit."""

    def total(what: Callable[[Kernel], float], *kinds: str) -> float:
        return sum(kernel.times * what(kernel) for kernel in kernels if kernel.kind in kinds)

    def milliseconds(kernel: Kernel) -> float:
        return 1e3 * max(kernel.bytes / card.bandwidth, kernel.flops / card.rate)

    count, work = total(lambda _: 1, *KINDS), total(milliseconds, *KINDS)
    return {
        "launches": count,
        "convolutions": total(lambda _: 1, "convolution"),
        "GB": total(lambda kernel: kernel.bytes / 1e9, *KINDS),
        "GFLOP": total(lambda kernel: kernel.flops / 1e9, *KINDS),
        **{f"{kind}, ms": total(milliseconds, kind) for kind in KINDS},
        f"at {GAP * 1e6} us a launch, ms": work + 1e3 * GAP * count,
        "graphs": num_graphs(kernels),
    }


def num_graphs(kernels: list[Kernel]) -> int:
    """CUDA graphs that these launches become by XLA's rule: runs of `SMALLEST_GRAPH` kernels without a convolution."""
    graphs, run, times = 0, 0, 0
    for kernel in [*kernels, Kernel("", "convolution", 0, 0, 0)]:
        if kernel.kind in _NOT_IN_GRAPHS or kernel.times != times:
            graphs += times * (run >= SMALLEST_GRAPH)
            run, times = 0, kernel.times
        run += kernel.kind not in _NOT_IN_GRAPHS
    return graphs


def _instruction(match: re.Match) -> Instruction:
    inside = re.split(r"\)(?:,|$)", match["rest"])[0]
    operands = re.findall(r"%([\w.-]+)", inside)
    return Instruction(match["name"], match["type"], match["op"], operands, match[0], bool(match["root"]))


def _role(instruction: Instruction, role: str) -> str:
    """The computation that an instruction calls as its body, condition, ..."""
    return dict(called(instruction.line))[role]


def _trips(loop: Instruction) -> int:
    known = _TRIPS.search(loop.line)
    return int(known[1]) if known else 0


def _kernel(instruction: Instruction, computation: dict[str, Instruction], module: Module) -> Kernel:
    is_fusion = instruction.op in ("fusion", "fusion-start")
    fused = module[_role(instruction, "calls")] if is_fusion else {}
    kind = _fusion_kind(instruction, fused) if fused else _plain_kind(instruction)
    if fused:
        size = sum(_bytes_read(name, fused) for name, inner in fused.items() if inner.op == "parameter")
        size += sum(_bytes_written(inner, fused) for inner in fused.values() if inner.is_root)
        flops = sum(_product_flops(inner, fused) for inner in fused.values() if inner.op == "dot")
    else:
        size = type_bytes(instruction.type) + sum(type_bytes(computation[name].type) for name in instruction.operands)
        flops = _convolution_flops(instruction, computation) if kind == "convolution" else 0
    return Kernel(instruction.name, kind, 1, size, flops)


def _fusion_kind(instruction: Instruction, fused: dict[str, Instruction]) -> str:
    ops = {inner.op for inner in fused.values()}
    if "dot" in ops:
        return "product"
    if "reduce" in ops:
        return "reduction"
    return "concatenation" if "concatenate" in instruction.name else "elementwise"


def _plain_kind(instruction: Instruction) -> str:
    target = _TARGET.search(instruction.line)
    if target and "$conv" in target[1]:
        return "convolution"
    return "product" if target and "cublas" in target[1] else "elementwise"


def _bytes_read(name: str, fused: dict[str, Instruction]) -> int:
    """What a fusion reads of an argument: only the slices, if it only slices it."""
    whole = type_bytes(fused[name].type)
    read = 0
    for user in fused.values():
        if name not in user.operands:
            continue
        if user.op == "bitcast":
            read += _bytes_read(user.name, fused)
        elif user.op in _SLICES and user.operands[0] == name:
            read += type_bytes(user.type)
        elif not (user.op == "dynamic-update-slice" and user.operands[0] == name):
            return whole
    return min(read, whole)


def _bytes_written(root: Instruction, fused: dict[str, Instruction]) -> int:
    """What a fusion writes: an update in place only its slice."""
    if root.op == "tuple":
        return sum(_bytes_written(fused[name], fused) for name in root.operands)
    return type_bytes(fused[root.operands[1]].type if root.op == "dynamic-update-slice" else root.type)


def _dimensions(of: str) -> list[int]:
    """The lengths of the first array of a type."""
    return [int(n) for n in re.search(r"\[([\d,]*)\]", of)[1].split(",") if n]


def _convolution_flops(instruction: Instruction, computation: dict[str, Instruction]) -> int:
    """cuDNN's three: forward (x, kernel), its input's gradient (dy, kernel), its kernel's gradient (x, dy)."""
    first, second = (_dimensions(computation[name].type) for name in instruction.operands[:2])
    result = _dimensions(instruction.type)
    target = _TARGET.search(instruction.line)[1]
    y, kernel = (second, result) if "Filter" in target else (first if "Input" in target else result, second)
    out = re.search(r"dim_labels=\w+_(\w+)->", instruction.line)[1].index("o")
    return 2 * math.prod(y) * math.prod(kernel) // kernel[out]


def _product_flops(dot: Instruction, fused: dict[str, Instruction]) -> int:
    summed = re.search(r"lhs_contracting_dims=\{([\d,]*)\}", dot.line)[1]
    left = _dimensions(fused[dot.operands[0]].type)
    return 2 * math.prod(_dimensions(dot.type)) * math.prod(left[int(axis)] for axis in summed.split(",") if axis)
