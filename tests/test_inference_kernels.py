"""Kernels in C (linear.h, quant.h, quant.c): floats of three kinds, int8 and int4, on all paths; with planted bugs."""

import ctypes
import os
import shutil
import subprocess

import numpy as np
import pytest
import torch

KERNELS_COMPILER = os.environ.get("CC", "cc").split()[0]
KERNELS_TYPES = {"F32": 0, "F16": 1, "BF16": 2, "I8": 3, "U8": 4}  # Type in csrc/safetensors.h
KERNELS_FORMULA, KERNELS_PLAIN, KERNELS_AVX2, KERNELS_AVX512 = 1, 2, 3, 4


class Kernels:
    """csrc/quant.c through ctypes. Arrays go in with the shapes of the comments there."""

    def __init__(self, path):
        self.c = ctypes.CDLL(str(path))
        pointer, long, integer, boolean = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int, ctypes.c_bool
        self.c.quant_open.argtypes = [integer, long, long, pointer, integer, long, pointer, boolean, pointer]
        self.c.quant_open.restype = self.c.quant_rounded.restype = pointer
        self.c.quant_rounded.argtypes = [pointer, integer, long]
        self.c.quant_close.argtypes = [pointer]
        self.c.quant_values.argtypes = [pointer, pointer]
        self.c.quant_store.argtypes = [pointer, pointer, pointer]
        self.c.quant_product.argtypes = [pointer, integer, integer, pointer, long, pointer]
        self.c.quant_activations.argtypes = [integer, pointer, long, long, pointer, pointer]
        self.c.quant_store.restype = self.c.quant_product.restype = self.c.quant_activations.restype = boolean
        self.rungs = [rung for rung in range(1, 5) if self.c.quant_rungs() >> rung & 1]

    def open(self, kind, numbers, scales=None, as_is=False):
        numbers, error = np.ascontiguousarray(numbers), ctypes.create_string_buffer(512)
        rows, columns = numbers.shape[0], numbers.shape[1] * (2 if kind == "U8" else 1)
        scale = KERNELS_TYPES["F16" if scales is not None and scales.dtype == np.float16 else "F32"]
        matrix = self.c.quant_open(KERNELS_TYPES[kind], rows, columns, numbers.ctypes.data, scale,
                                   0 if scales is None else scales.shape[1],
                                   None if scales is None else np.ascontiguousarray(scales).ctypes.data, as_is, error)
        assert matrix, error.value.decode()
        return KernelsMatrix(self, matrix, rows, columns)

    def activations(self, rung, x):
        x = np.ascontiguousarray(x, np.float32)
        q, scales = np.full(x.shape, -128, np.int8), np.full((len(x), x.shape[1] // 32), np.nan, np.float32)
        assert self.c.quant_activations(rung, x.ctypes.data, *x.shape, q.ctypes.data, scales.ctypes.data)
        return q, scales


class KernelsMatrix:
    def __init__(self, kernels, pointer, rows, columns):
        self.kernels, self.pointer, self.rows, self.columns = kernels, pointer, rows, columns

    def __del__(self):
        self.kernels.c.quant_close(self.pointer)

    def rounded(self, bits, group):
        pointer = self.kernels.c.quant_rounded(self.pointer, bits, group)
        assert pointer
        return KernelsMatrix(self.kernels, pointer, self.rows, self.columns)

    def values(self):
        values = np.full((self.rows, self.columns), np.nan, np.float32)
        self.kernels.c.quant_values(self.pointer, values.ctypes.data)
        return values

    def stored(self, bits, group):
        numbers = np.zeros((self.rows, self.columns * bits // 8), np.int8 if bits == 8 else np.uint8)
        scales = np.zeros((self.rows, self.columns // group), np.float16)
        assert self.kernels.c.quant_store(self.pointer, numbers.ctypes.data, scales.ctypes.data)
        return numbers, scales

    def product(self, x, rung, threads=1):
        x = np.ascontiguousarray(x, np.float32)
        y = np.full((len(x), self.rows), np.nan, np.float32)
        assert self.kernels.c.quant_product(self.pointer, rung, threads, x.ctypes.data, len(x), y.ctypes.data)
        return y


@pytest.fixture(scope="module")
def kernels(clone, run_command):
    """The library, built in the clone; skips where there is nothing to build it with."""
    if not (shutil.which(KERNELS_COMPILER) and shutil.which("make")):
        pytest.skip("needs make and a C compiler (Debian, Ubuntu: apt-get install make gcc)")
    run_command("make -C csrc build/quant.so", timeout=300)
    return Kernels(clone / "csrc/build/quant.so")


# ---------------------------------------------------------------- the reference: the words of quant.h in NumPy


def kernels_round_activations(x):
    """x (n, columns) -> int8 (n, columns / 32, 32) and scales (n, columns / 32), in float32 throughout."""
    blocks = x.astype(np.float32).reshape(len(x), -1, 32)
    peak = np.abs(blocks).max(-1)
    with np.errstate(divide="ignore"):
        inverse = np.where(peak < np.float32(1e-30), np.float32(0), np.float32(127) / peak)
    scales = np.where(peak < np.float32(1e-30), np.float32(0), peak / np.float32(127))
    return np.rint(blocks * inverse[..., None]).astype(np.int8), scales


def kernels_reference(q, scales, x):
    """q (rows, columns), scales (rows, groups), x (n, columns) -> y (n, rows), every product and sum rounded in order."""
    (rows, columns), groups, n = q.shape, scales.shape[1], len(x)
    whole, x_scales = kernels_round_activations(x)
    dots = np.einsum("rbi,tbi->trb", q.reshape(rows, -1, 32).astype(np.int64), whole.astype(np.int64))
    y, in_group = np.zeros((n, rows), np.float32), columns // groups // 32
    for group in range(groups):
        part = np.zeros((n, rows), np.float32)
        for b in range(group * in_group, (group + 1) * in_group):
            part += dots[..., b].astype(np.float32) * x_scales[:, None, b]
        y += part * scales[None, :, group].astype(np.float32)
    return y


def kernels_nibbles(q):
    """q (rows, columns) from -8 to 7 as a file stores it: column j of a block of 32 low, column j + 16 high."""
    u = (q + 8).reshape(len(q), -1, 2, 16).astype(np.uint8)
    return (u[:, :, 0] | u[:, :, 1] << 4).reshape(len(q), -1)


# ---------------------------------------------------------------- float weights


@pytest.mark.parametrize("kind, dtype", [("F32", torch.float32), ("F16", torch.float16), ("BF16", torch.bfloat16)])
def test_kernels_of_floats_agree_with_torch(kernels, kind, dtype):
    generator = torch.Generator().manual_seed(1)
    for rows, columns, n in [(1, 1, 1), (33, 70, 2), (64, 96, 13), (100, 288, 30), (5, 1000, 7)]:
        weight = torch.randn(rows, columns, generator=generator).to(dtype)
        x = torch.randn(n, columns, generator=generator)
        right = (x.double() @ weight.double().T).numpy()
        numbers = weight.numpy() if kind != "BF16" else weight.view(torch.int16).numpy()
        wide, kept = kernels.open(kind, numbers), kernels.open(kind, numbers, as_is=True)
        assert np.array_equal(kept.values(), weight.float().numpy()) and np.array_equal(wide.values(), kept.values())
        vector = []
        for rung in kernels.rungs:
            y = wide.product(x.numpy(), rung, threads=2)
            assert np.abs(y - right).max() <= 1e-6 * columns
            assert np.array_equal(kept.product(x.numpy(), rung), y)
            alone = np.concatenate([wide.product(row[None], rung) for row in x.numpy()])
            assert rung == KERNELS_FORMULA or np.array_equal(alone, y), "a token's result depends on the others"
            vector += [y] if rung >= KERNELS_AVX2 else []
        assert all(np.array_equal(vector[0], y) for y in vector[1:])


# ---------------------------------------------------------------- int8 and int4


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("scale_type", [np.float32, np.float16])
def test_kernels_of_whole_numbers_equal_the_formula_bit_for_bit(kernels, bits, scale_type):
    rng = np.random.default_rng(bits)
    for rows, columns, group, n in [(1, 32, 32, 1), (16, 64, 64, 2), (40, 128, 32, 5), (77, 288, 96, 9),
                                    (50, 768, 768, 17), (33, 512, 128, 8)]:  # fmt: skip
        q = rng.integers(*((-127, 128) if bits == 8 else (-8, 8)), (rows, columns))
        scales = (rng.random((rows, columns // group)) * 0.02).astype(scale_type)
        x = rng.standard_normal((n, columns)) * np.exp(rng.standard_normal((n, columns)))
        right = kernels_reference(q, scales, x)
        matrix = kernels.open(*(("I8", q.astype(np.int8)) if bits == 8 else ("U8", kernels_nibbles(q))), scales)
        assert np.array_equal(matrix.values(), q.astype(np.float32) * np.repeat(scales.astype(np.float32), group, 1))
        for rung in kernels.rungs:
            y = matrix.product(x, rung, threads=3)
            if rung == KERNELS_FORMULA:
                assert np.abs(y - right).max() <= 1e-5 * np.abs(right).max()
            else:
                assert np.array_equal(y, right), f"rung {rung}, {rows} x {columns} in groups of {group}"


def test_kernels_equal_the_integers_of_the_chapter_quantization(kernels, chapter):
    """quantization/quantize.py and activations.py in torch, and C: the same numbers, to the bit."""
    quantization = chapter("quantization")
    generator = torch.Generator().manual_seed(2)
    for bits, group in ((8, 32), (8, 64), (4, 32), (4, 128)):
        weight, x = torch.randn(48, 384, generator=generator), torch.randn(5, 384, generator=generator)
        quantized = quantization.quantize.quantize(weight, bits, group)
        right = quantization.activations.IntLinear(quantized).integers(x).numpy()
        q, scales = quantized.q.numpy(), quantized.scale.numpy()
        matrix = kernels.open(*(("I8", q) if bits == 8 else ("U8", kernels_nibbles(q))), scales)
        for rung in kernels.rungs[1:]:
            assert np.array_equal(matrix.product(x.numpy(), rung), right)


def test_kernels_at_the_ends_of_int8(kernels):
    """255 * 127 twice does not fit 16 bits: what vpmaddubsw would cut off must not be cut off."""
    for bits, ends in ((8, (-128, -127, 127)), (4, (-8, 7))):
        for low in ends:
            for sign in (1, -1):
                q = np.full((16, 64), low)
                x = np.where(np.arange(64) % 3, 5.0, -5.0)[None] * sign
                matrix = kernels.open(*(("I8", q.astype(np.int8)) if bits == 8 else ("U8", kernels_nibbles(q))),
                                      np.ones((16, 2), np.float32))  # fmt: skip
                for rung in kernels.rungs:
                    assert np.allclose(matrix.product(x, rung), x @ q.T, rtol=1e-6)


def test_kernels_round_activations_as_documented(kernels):
    rng = np.random.default_rng(3)
    x = (rng.standard_normal((20, 96)) * np.exp(5 * rng.standard_normal((20, 1)))).astype(np.float32)
    x[0] = 0
    x[1, :32] = 1e-31
    x[2, :32] = np.arange(32) - 15.5  # halves, of which rint takes the even neighbor
    x[2, 0] = 127
    whole, scales = kernels_round_activations(x)
    for rung in kernels.rungs[1:]:
        q, s = kernels.activations(rung, x)
        assert np.array_equal(q, whole.reshape(x.shape)) and np.array_equal(s, scales)
    for bad in (np.nan, np.inf, -np.inf):
        x[5, 40] = bad
        for rung in kernels.rungs[1:]:
            assert np.array_equal(np.argwhere(np.isnan(kernels.activations(rung, x)[1])), [[5, 1]])


@pytest.mark.parametrize("bits, bound", [(8, 0.51), (4, 1.01)])
def test_kernels_round_weights(kernels, bits, bound):
    rng = np.random.default_rng(4)
    weight = rng.standard_normal((50, 384)).astype(np.float32)
    matrix = kernels.open("F32", weight)
    errors = []
    for group in (384, 128, 32):
        rounded = matrix.rounded(bits, group)
        numbers, scales = rounded.stored(bits, group)
        steps = np.repeat(np.abs(scales.astype(np.float32)), group, 1)
        difference = np.abs(rounded.values() - weight)
        assert (difference <= bound * steps).all()
        assert (np.abs(weight).reshape(50, -1, group).max(-1) <= np.abs(scales) * (127.1 if bits == 8 else 8.01)).all()
        again = kernels.open("I8" if bits == 8 else "U8", numbers, scales)
        assert np.array_equal(again.values(), rounded.values())
        errors.append(difference.mean())
    assert errors[0] > errors[1] > errors[2], "smaller groups round less"


# ---------------------------------------------------------------- how fast


def test_kernels_prints_a_table(kernels, run_script):
    lines = run_script("quantization/kernels.py", "--size", "15M", "--repeats", 1).stdout.splitlines()
    assert lines[0].startswith("15M parameters: 6 layers, C = 288") and len(lines) == 4 + 2 * (
        len(kernels.rungs) + len([rung for rung in kernels.rungs if rung >= KERNELS_AVX2]))  # fmt: skip
    for row in lines[2:]:
        assert float(row.split("GB/s" if "GB/s" in row else "GOP/s")[0].split()[-1]) >= 0
    assert "threads" in run_script("quantization/kernels.py", "--threads", 0, status=2).stderr


# ---------------------------------------------------------------- under sanitizers, planted bugs


@pytest.mark.parametrize("name", ["test_linear", "test_quant"])
def test_kernels_pass_under_sanitizers(kernels, run_command, name):
    result = run_command(f"make -C csrc build/check/{name} && csrc/build/check/{name}", timeout=300)
    assert result.stderr == ""


@pytest.mark.parametrize("test, file, right, wrong", [
    ("linear", "linear.h", "= x[(first + t) * K + j]", "= x[first * K + j]"),
    ("linear", "linear_tiles.h", "wide[1], number, sum[t][1]", "wide[0], number, sum[t][1]"),
    ("linear", "half.h", "0xFFF + (size >> 13 & 1)", "0x1000"),
    ("quant", "quant.h", "to->start = -zero * sum", "to->start = zero * sum"),
    ("quant", "quant.h", "parts[r] += (float)dots[r]", "parts[r] = (float)dots[r]"),
    ("quant", "quant_tiles.h",
     "_mm256_maddubs_epi16(_mm256_abs_epi8(q), _mm256_sign_epi8(four_bytes_256(x->q + 4 * s), q))",
     "_mm256_maddubs_epi16(_mm256_xor_si256(q, flip), four_bytes_256(x->q + 4 * s))"),  # stops at 32,767
    ("quant", "quant_tiles.h", "_mm512_srli_epi16(bytes, 4)", "_mm512_srli_epi16(bytes, 3)"),
    ("quant", "quant_tiles.h", "place = quant_scale_place(w, p * QUANT_ROWS + half, 0)",
     "place = quant_scale_place(w, p * QUANT_ROWS, 0)"),
])  # fmt: skip
def test_planted_bugs_in_kernels_are_noticed(kernels, root, tmp_path, test, file, right, wrong):
    if "_tiles" in file and KERNELS_AVX512 not in kernels.rungs:
        pytest.skip("needs a processor with AVX-512 and VNNI")
    shutil.copytree(root / "csrc", tmp_path, ignore=shutil.ignore_patterns("build"), dirs_exist_ok=True)
    source = (tmp_path / file).read_text()
    assert source.count(right) == 1, f"{file} no longer has {right!r}: plant the bug anew"
    (tmp_path / file).write_text(source.replace(right, wrong))
    command = [KERNELS_COMPILER, "-std=c11", "-O0", "-fopenmp", "-ffp-contract=off", tmp_path / f"test_{test}.c",
               "-o", tmp_path / "test", "-lm"]  # fmt: skip
    subprocess.run(command, check=True, timeout=120)
    assert subprocess.run([tmp_path / "test"], capture_output=True, timeout=120).returncode != 0
