"""What is counted in the text of a compiled GPU program, on a made-up one whose counts are known."""

from collections import Counter

import pytest

from benchmarks.gpu_kernels import Card, Kernel, launches, num_graphs, projected

IMAGE, FLAT = "bf16[2,8,8,16]{3,2,1,0}", "f32[2,16]{1,0}"
PROGRAM = f"""HloModule update, is_scheduled=true

%sums (p0: bf16[2,8,8,16]) -> f32[2,16] {{
  %p0.1 = {IMAGE} parameter(0)
  %c.1 = f32[2,8,8,16]{{3,2,1,0}} convert(%p0.1)
  ROOT %r.1 = {FLAT} reduce(%c.1, %zero.1), dimensions={{1,2}}, to_apply=%add
}}

%product (p0: f32[2,16], p1: f32[16,4]) -> f32[2,4] {{
  %p0.2 = {FLAT} parameter(0)
  %p1.2 = f32[16,4]{{1,0}} parameter(1)
  ROOT %d.2 = f32[2,4]{{1,0}} dot(%p0.2, %p1.2), lhs_contracting_dims={{1}}, rhs_contracting_dims={{0}}
}}

%note (p0: f32[5,2,4], p1: f32[2,4], p2: s32[]) -> f32[5,2,4] {{
  %p0.3 = f32[5,2,4]{{2,1,0}} parameter(0)
  %p1.3 = f32[2,4]{{1,0}} parameter(1)
  %p2.3 = s32[] parameter(2)
  %b.3 = f32[1,2,4]{{2,1,0}} bitcast(%p1.3)
  ROOT %u.3 = f32[5,2,4]{{2,1,0}} dynamic-update-slice(%p0.3, %b.3, %p2.3)
}}

%step (p: (bf16[2,8,8,16], /*index=1*/f32[5,2,4])) -> (bf16[2,8,8,16], f32[5,2,4]) {{
  %p.4 = ({IMAGE}, /*index=1*/f32[5,2,4]{{2,1,0}}) parameter(0)
  %x.4 = {IMAGE} get-tuple-element(%p.4), index=0
  %all.4 = f32[5,2,4]{{2,1,0}} get-tuple-element(%p.4), index=1
  %k.4 = bf16[16,3,3,16]{{3,2,1,0}} constant({{...}})
  %w.4 = f32[16,4]{{1,0}} constant({{...}})
  %i.4 = s32[] constant(1)
  %conv.4 = ({IMAGE}, u8[0]{{0}}) custom-call(%x.4, %k.4), window={{size=3x3 pad=1_1x1_1}}, \
dim_labels=b01f_o01i->b01f, custom_call_target="__cudnn$convForward"
  %y.4 = {IMAGE} get-tuple-element(%conv.4), index=0
  %sums.4 = {FLAT} fusion(%y.4), kind=kInput, calls=%sums
  %product.4 = f32[2,4]{{1,0}} fusion(%sums.4, %w.4), kind=kCustom, calls=%product
  %note.4 = f32[5,2,4]{{2,1,0}} fusion(%all.4, %product.4, %i.4), kind=kLoop, calls=%note
  ROOT %t.4 = ({IMAGE}, f32[5,2,4]{{2,1,0}}) tuple(%y.4, %note.4)
}}

%restart (p: f32[2,16]) -> f32[2,16] {{
  %p.5 = {FLAT} parameter(0)
  ROOT %copy.5 = {FLAT} copy(%p.5)
}}

%skip (p: f32[2,16]) -> f32[2,16] {{
  ROOT %p.6 = {FLAT} parameter(0)
}}

%update (p: (bf16[2,8,8,16], f32[5,2,4], f32[2,16], s32[])) -> (bf16[2,8,8,16], f32[5,2,4], f32[2,16], s32[]) {{
  %p.7 = ({IMAGE}, f32[5,2,4]{{2,1,0}}, {FLAT}, s32[]) parameter(0)
  %s.7 = s32[] get-tuple-element(%p.7), index=3
  %f.7 = {FLAT} get-tuple-element(%p.7), index=2
  %steps.7 = ({IMAGE}, f32[5,2,4]{{2,1,0}}) while(%p.7), condition=%c, body=%step, \
backend_config={{"known_trip_count":{{"n":"5"}}}}
  %dead.7 = {FLAT} while(%f.7), condition=%c, body=%restart
  %first.7 = {FLAT} conditional(%s.7, %f.7, %f.7), branch_computations={{%restart, %skip}}
  %dx.7 = {IMAGE} custom-call(%y.7, %k.7), dim_labels=b01f_o01i->b01f, custom_call_target="__cudnn$convBackwardInput"
  %y.7 = bf16[2,8,8,32]{{3,2,1,0}} copy(%p.7)
  %k.7 = bf16[32,3,3,16]{{3,2,1,0}} copy(%p.7)
  ROOT %t.7 = ({IMAGE}, f32[5,2,4]{{2,1,0}}, {FLAT}, s32[]) tuple(%dx.7)
}}

ENTRY %main (a: s32[]) -> s32[] {{
  %a = s32[] parameter(0)
  %prepared = s32[] copy(%a)
  ROOT %updates = s32[] while(%prepared), condition=%c, body=%update
}}
"""


def test_launches_of_one_update() -> None:
    """Inner loops times their turns; no restarts, no branch that is longer, nothing outside of the update."""
    counts = Counter()
    for kernel in launches(PROGRAM):
        counts[kernel.name] += kernel.times
    inner = dict.fromkeys(("conv.4", "sums.4", "product.4", "note.4"), 5)
    assert counts == inner | dict.fromkeys(("dx.7", "y.7", "k.7"), 1)


def test_bytes_and_flops_of_a_launch() -> None:
    kernels = {kernel.name: kernel for kernel in launches(PROGRAM)}
    image, weights = 2 * 8 * 8 * 16, 16 * 9 * 16
    expected = {
        "conv.4": ("convolution", 2 * (2 * image + weights), 2 * image * 9 * 16),
        "sums.4": ("reduction", 2 * image + 4 * 32, 0),
        "product.4": ("product", 4 * (32 + 64 + 8), 2 * 8 * 16),
        "note.4": ("elementwise", 4 * (8 + 8 + 1), 0),  # in place: one step of five
        "dx.7": ("convolution", 2 * (image + 2 * image + 32 * 9 * 16), 2 * 2 * image * 9 * 16),
    }
    assert {name: (k.kind, k.bytes, k.flops) for name, k in kernels.items() if name in expected} == expected


def test_graphs_are_runs_without_a_convolution() -> None:
    convolution, other = (Kernel("", kind, 3, 0, 0) for kind in ("convolution", "reduction"))
    assert num_graphs([*[other] * 5, convolution, *[other] * 4, convolution, *[other] * 9]) == 2 * 3
    assert num_graphs([other] * 4 + [other._replace(times=1)] * 4) == 0  # a loop ends between the two


def test_projected_time() -> None:
    """Two launches limited by memory and one by arithmetic, with 1.5 us each on top."""
    kernels = [Kernel("", "reduction", 2, 4_000_000, 0), Kernel("", "convolution", 1, 4, 2_000_000_000)]
    figures = projected(kernels, Card(bandwidth=1e12, rate=1e14))
    assert (figures["launches"], figures["convolutions"], figures["graphs"]) == (3, 1, 0)
    assert figures["GFLOP"] == 2 and figures["GB"] == pytest.approx(0.008)
    assert figures["reduction, ms"] == pytest.approx(0.008) and figures["convolution, ms"] == pytest.approx(0.02)
    assert figures["at 1.5 us a launch, ms"] == pytest.approx(0.0325)
