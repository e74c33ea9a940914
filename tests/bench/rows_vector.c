/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Benchmarks: vectors and floating point.
 */
#include "tests/bench/rows.h"

#include <immintrin.h>
#include <math.h>
#include <string.h>

#define SIDE 64

static const u8 *vector_bytes(void)
{
	static u8 bytes[4096] __attribute__((aligned(64)));

	if (!bytes[1])
		for (u32 i = 0; i < sizeof bytes; i++)
			bytes[i] = (u8)(i * i + 3 * i / 7);
	return bytes;
}

/* How often bytes are in a page. */
u64 row_cmp_sse2(void)
{
	const u8 *bytes = vector_bytes();
	u64 digest = 0;

	for (u32 i = 0; i < ROW_OPS_cmp_sse2; i++) {
		__m128i what = _mm_set1_epi8((char)i);
		u32 n = 0;

		for (u32 at = 0; at < 4096; at += 16) {
			__m128i v = _mm_load_si128((void *)(bytes + at));
			__m128i same = _mm_cmpeq_epi8(v, what);

			n += (u32)_mm_movemask_epi8(same) * 3;
		}
		digest = digest * 31 + n;
	}
	return digest;
}

__attribute__((target("avx2"))) u64 row_cmp_avx2(void)
{
	const u8 *bytes = vector_bytes();
	u64 digest = 0;

	for (u32 i = 0; i < ROW_OPS_cmp_avx2; i++) {
		__m256i what = _mm256_set1_epi8((char)i);
		u32 n = 0;

		for (u32 at = 0; at < 4096; at += 32) {
			__m256i v = _mm256_load_si256((void *)(bytes + at));
			__m256i same = _mm256_cmpeq_epi8(v, what);

			n += (u32)_mm256_movemask_epi8(same) * 3;
		}
		digest = digest * 31 + n;
	}
	return digest;
}

u64 row_matmul_sse2(void)
{
	static double a[SIDE][SIDE] __attribute__((aligned(64)));
	static double b[SIDE][SIDE] __attribute__((aligned(64)));
	static double c[SIDE][SIDE] __attribute__((aligned(64)));
	u64 digest = 0, bits;

	for (int i = 0; i < SIDE; i++) {
		for (int j = 0; j < SIDE; j++) {
			a[i][j] = 1.0 / (i + j + 1);
			b[i][j] = i * 0.37 - j;
		}
	}
	for (int n = 0; n < ROW_OPS_matmul_sse2; n++) {
		for (int i = 0; i < SIDE; i++) {
			for (int j = 0; j < SIDE; j += 4) {
				__m128d x = _mm_setzero_pd(), y = x;

				for (int k = 0; k < SIDE; k++) {
					__m128d f = _mm_set1_pd(a[i][k]);
					__m128d p = _mm_load_pd(&b[k][j]);
					__m128d q = _mm_load_pd(&b[k][j + 2]);

					x = _mm_add_pd(x, _mm_mul_pd(f, p));
					y = _mm_add_pd(y, _mm_mul_pd(f, q));
				}
				_mm_store_pd(&c[i][j], x);
				_mm_store_pd(&c[i][j + 2], y);
			}
		}
		a[n][n] += c[n][n] / 1024;
	}
	for (int i = 0; i < SIDE; i++) {
		memcpy(&bits, &c[i][SIDE - 1 - i], sizeof bits);
		digest = row_mix(digest, bits);
	}
	return digest;
}

__attribute__((target("avx2,fma"))) u64 row_matmul_fma(void)
{
	static float a[SIDE][SIDE] __attribute__((aligned(64)));
	static float b[SIDE][SIDE] __attribute__((aligned(64)));
	static float c[SIDE][SIDE] __attribute__((aligned(64)));
	u64 digest = 0;
	u32 bits;

	for (int i = 0; i < SIDE; i++) {
		for (int j = 0; j < SIDE; j++) {
			a[i][j] = 1.0f / (float)(i + j + 1);
			b[i][j] = (float)i * 0.37f - (float)j;
		}
	}
	for (int n = 0; n < ROW_OPS_matmul_fma; n++) {
		for (int i = 0; i < SIDE; i++) {
			for (int j = 0; j < SIDE; j += 16) {
				__m256 x = _mm256_setzero_ps(), y = x;

				for (int k = 0; k < SIDE; k++) {
					__m256 f = _mm256_set1_ps(a[i][k]);
					const float *p = &b[k][j];

					x = _mm256_fmadd_ps(
						f, _mm256_load_ps(p), x);
					y = _mm256_fmadd_ps(
						f, _mm256_load_ps(p + 8), y);
				}
				_mm256_store_ps(&c[i][j], x);
				_mm256_store_ps(&c[i][j + 8], y);
			}
		}
		a[n][n] += c[n][n] / 1024;
	}
	for (int i = 0; i < SIDE; i++) {
		memcpy(&bits, &c[i][SIDE - 1 - i], sizeof bits);
		digest = row_mix(digest, bits);
	}
	return digest;
}

/* Two blocks through ten rounds each. */
__attribute__((target("aes,sse4.1"))) u64 row_aes(void)
{
	__m128i x = _mm_set_epi64x(1, 2), y = _mm_set_epi64x(3, 4), key[11];

	for (int i = 0; i < 11; i++)
		key[i] = _mm_set_epi64x(i * 0x34567890abcdef, i * 77);
	for (int i = 0; i < ROW_OPS_aes; i++) {
		x = _mm_xor_si128(x, key[0]);
		y = _mm_xor_si128(y, key[0]);
		for (int r = 1; r < 10; r++) {
			x = _mm_aesenc_si128(x, key[r]);
			y = _mm_aesenc_si128(y, key[r]);
		}
		x = _mm_aesenclast_si128(x, key[10]);
		y = _mm_aesenclast_si128(y, key[10]);
	}
	x = _mm_xor_si128(x, y);
	return row_mix((u64)_mm_cvtsi128_si64(x), (u64)_mm_extract_epi64(x, 1));
}

u64 row_double(void)
{
	double x = 0.5, y = 1, sum = 0;
	u64 bits;

	for (int i = 1; i <= ROW_OPS_double; i++) {
		double n = i;

		__asm__("sqrtsd %1, %0" : "=x"(y) : "x"(x * x + n));
		x = x * 0.75 + n / y;
		sum += x > y ? x - y : y * 0.25;
	}
	memcpy(&bits, &sum, sizeof bits);
	return bits;
}

u64 row_x87(void)
{
	long double x = 0.5L, sum = 0;
	u64 bits = 0;

	for (int i = 1; i <= ROW_OPS_x87; i++) {
		x = 3.75L * x * (1 - x);
		sum += x + (long double)i * 0.125L;
	}
	memcpy(&bits, &sum, sizeof bits);
	return bits;
}
