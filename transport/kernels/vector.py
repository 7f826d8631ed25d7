"""The one operation that a compiler does not make of plain loops: eight neighbouring numbers read at once."""

from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import cgutils, types
from numba.extending import intrinsic, overload
from numpy.typing import NDArray

WIDTH = 8
"""Numbers read at a grid point in one go: two levels of a met cube, or all surface fields."""


def blend(
    now: NDArray[np.float32],
    later: NDArray[np.float32],
    corner: tuple[int, int, int, int],
    weight: tuple[float, ...],
    out: NDArray[np.float64],
    first: int,
) -> None:
    """Write the weighted sum of eight numbers at four corners and two times into out[first : first + 8].

    now, later : flat float32; corner : index of the first of the eight numbers at each corner
    weight : four weights for `now`, four for `later`
    This body runs only without the compiler; compiled code uses eight-wide instructions.
    """
    total = np.zeros(WIDTH)
    for n in range(4):
        part = slice(corner[n], corner[n] + WIDTH)
        total += weight[n] * now[part] + weight[n + 4] * later[part]
    out[first : first + WIDTH] = total


def _typed(
    _context: Any, now: Any, later: Any, corner: Any, weight: Any, out: Any, first: Any
) -> tuple[Any, Any]:
    """Return the signature of the compiled `blend` and what writes its instructions."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        narrow, wide = ir.VectorType(ir.FloatType(), WIDTH), ir.VectorType(ir.DoubleType(), WIDTH)
        arrays = [context.make_array(signature.args[n])(context, builder, arguments[n]) for n in (0, 1, 4)]
        corners, weights = (cgutils.unpack_tuple(builder, arguments[n]) for n in (2, 3))
        total = ir.Constant(wide, [0.0] * WIDTH)
        for n, factor in enumerate(weights):
            start = builder.gep(arrays[n // 4].data, [corners[n % 4]])
            numbers = builder.load(builder.bitcast(start, narrow.as_pointer()), align=4)
            one = builder.insert_element(ir.Constant(wide, ir.Undefined), factor, ir.IntType(32)(0))
            same = ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), [0] * WIDTH)
            spread = builder.shuffle_vector(one, ir.Constant(wide, ir.Undefined), same)
            product = builder.fmul(builder.fpext(numbers, wide), spread)
            total = builder.fadd(total, product)
        end = builder.gep(arrays[2].data, [arguments[5]])
        builder.store(total, builder.bitcast(end, wide.as_pointer()), align=8)
        return context.get_dummy_value()

    return types.void(now, later, corner, weight, out, first), generate


_eight_wide: Any = intrinsic(_typed)


@overload(blend, strict=False)  # strict, it would refuse annotations
def _compiled(now: Any, later: Any, corner: Any, weight: Any, out: Any, first: Any) -> Any:  # noqa: ARG001
    return lambda now, later, corner, weight, out, first: _eight_wide(now, later, corner, weight, out, first)
