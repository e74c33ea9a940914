/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What libc computes, as digests: a guest has to print what its host does.
 * Functions of libm on random and on odd arguments, conversions, string
 * functions at all alignments; those are compared with loops, too.  glibc
 * chooses by CPUID among several forms of most of them.
 *
 * Exit status: 0 when the loops agree.
 */
#define _GNU_SOURCE
#include <complex.h>
#include <fenv.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define TIMES         40000

static uint64_t state, digest;
static int bad;

static uint64_t draw(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static void begin(void)
{
	state = 0x9e3779b97f4a7c15ULL;
	digest = 0xcbf29ce484222325ULL;
}

static void add(const void *p, size_t n)
{
	for (const uint8_t *b = p; n--; b++)
		digest = (digest ^ *b) * 0x100000001b3ULL;
}

static void end(const char *name)
{
	printf("%-12s %016llx\n", name, (unsigned long long)digest);
}

/* ---- libm ---- */

static const double odd[] = {
	0.0,   -0.0,     1.0,       -1.0, 0.5,    1e-310, -4.9e-324, 1e308,
	1e-30, INFINITY, -INFINITY, M_PI, M_PI_2, 0x1p52, 0x1p63,    -2.5,
};

/* Any bits; or of a size that most functions are made for. */
static double some(unsigned n)
{
	union {
		uint64_t u;
		double d;
	} v = { draw() };

	if (n < ARRAY_SIZE(odd))
		return odd[n];
	if (n % 4 == 0 && !isnan(v.d))
		return v.d;
	return (double)(int64_t)v.u / 0x1p58;
}

/* Which NaN is nobody's promise. */
static void add_double(double d)
{
	if (isnan(d))
		d = 0.125;
	add(&d, sizeof d);
}

static void add_float(float f)
{
	if (isnan(f))
		f = 0.125f;
	add(&f, sizeof f);
}

static void add_long(long double l)
{
	if (isnan(l))
		l = 0.125L;
	add(&l, 10);
}

#define ONE(X)                                                                 \
	X(sin)                                                                 \
	X(cos)                                                                 \
	X(tan) X(asin) X(acos) X(atan) X(sinh) X(cosh) X(tanh) X(asinh)        \
		X(acosh) X(atanh) X(exp) X(exp2) X(exp10) X(expm1) X(log)      \
			X(log2) X(log10) X(log1p) X(sqrt) X(cbrt) X(erf)       \
				X(erfc) X(tgamma) X(lgamma) X(ceil) X(floor)   \
					X(trunc) X(round) X(rint) X(roundeven) \
						X(nearbyint) X(logb) X(fabs)
#define TWO(X)                                                            \
	X(pow)                                                            \
	X(atan2)                                                          \
	X(fmod) X(remainder) X(hypot) X(fdim) X(fmax) X(fmin) X(copysign) \
		X(nextafter)

#define X(fn)                                                   \
	static void one_##fn(unsigned n)                        \
	{                                                       \
		double x = some(n);                             \
		add_double(fn(x));                              \
		add_float(fn##f((float)x));                     \
		if (n % 16 == 0)                                \
			add_long(fn##l((long double)x * 1.5L)); \
	}
ONE(X)
#undef X
#define X(fn)                                                      \
	static void two_##fn(unsigned n)                           \
	{                                                          \
		double x = some(n), y = some(n / 3);               \
		add_double(fn(x, y));                              \
		add_float(fn##f((float)x, (float)y));              \
		if (n % 16 == 0)                                   \
			add_long(fn##l((long double)x, 1.5L * y)); \
	}
TWO(X)
#undef X

static void fma_and_others(unsigned n)
{
	double x = some(n), y = some(n / 2), z = some(n / 3);
	complex double c = cexp((x / 64) + I * y) + csqrt(y + I * z);
	int e = 0;

	add_double(fma(x, y, z));
	add_float(fmaf((float)x, (float)y, (float)z));
	add_double(frexp(x, &e));
	add(&e, sizeof e);
	add_double(ldexp(x, (int)(draw() % 200) - 100));
	add_double(creal(c));
	add_double(cimag(c));
	e = (int)(lrint(fmod(x, 1e9)) + llround(fmod(y, 1e9)));
	add(&e, sizeof e);
	sincos(x, &y, &z);
	add_double(y);
	add_double(z);
}

static void conversions(unsigned n)
{
	double x = some(n);
	char text[400];
	double back;

	snprintf(text, sizeof text, "%.17g %a %Lg %d", x, x,
		 (long double)x * 3.0L, (int)(draw() >> 33));
	add(text, strlen(text));
	back = strtod(text, NULL);
	if (!isnan(x) && memcmp(&x, &back, sizeof x))
		bad++;
	add_float(strtof(text, NULL));
	add_long(strtold(text, NULL));
}

static const int roundings[] = { FE_TONEAREST, FE_DOWNWARD, FE_UPWARD,
				 FE_TOWARDZERO };

static void directed(unsigned n)
{
	volatile double x = some(n), y = some(n / 3);
	int flags;

	fesetround(roundings[n % 4]);
	feclearexcept(FE_ALL_EXCEPT);
	add_double(x + y);
	add_double(x * y);
	add_double(x / y);
	add_float((float)x);
	add_long((long double)x / (long double)y);
	add_double(rint(x));
	flags = fetestexcept(FE_DIVBYZERO | FE_INVALID | FE_OVERFLOW);
	add(&flags, sizeof flags);
	fesetround(FE_TONEAREST);
}

static const struct {
	const char *name;
	void (*fn)(unsigned n);
} rows[] = {

#define X(fn) { #fn, one_##fn },
	ONE(X)
#undef X
#define X(fn) { #fn, two_##fn },
		TWO(X)
#undef X
			{ "others", fma_and_others },
	{ "conversions", conversions },
	{ "rounding", directed },
};

/* ---- Strings ---- */

#define ROOM 4400

static uint8_t left[ROOM], right[ROOM], want[ROOM];

static void expect(bool ok)
{
	bad += !ok;
}

static int sign(int n)
{
	return (n > 0) - (n < 0);
}

static void copies(size_t a, size_t b, size_t n)
{
	memcpy(want, right, ROOM);
	for (size_t k = 0; k < n; k++)
		want[b + k] = left[a + k];
	expect(memcpy(right + b, left + a, n) == right + b);
	expect(!memcmp(want, right, ROOM));
	/* To where it overlaps, both ways. */
	memcpy(want, right, ROOM);
	for (size_t k = 0; k < n; k++)
		want[b / 2 + k] = right[a / 2 + k];
	memmove(right + b / 2, right + a / 2, n);
	expect(!memcmp(want, right, ROOM));
	memset(right + a, (int)n, n);
	for (size_t k = 0; k < n; k++)
		expect(right[a + k] == (uint8_t)n);
	expect(mempcpy(right + a, left, n) == right + a + n);
}

static void searches(size_t a, size_t n)
{
	char *s = (char *)left + a;
	uint8_t last = (uint8_t)s[n];
	size_t first = 0;

	s[n] = 0;
	while (first < n && s[first] != 'q')
		first++;
	expect(strlen(s) == n && strnlen(s, n / 2) == n / 2);
	expect(rawmemchr(s, 0) == s + n);
	expect(memchr(s, 'q', n) == (first < n ? s + first : NULL));
	expect(strchr(s, 'q') == (first < n ? s + first : NULL));
	expect(strchrnul(s, 'q') == s + first);
	expect(strcspn(s, "q") == first);
	first = n;
	while (first && s[first - 1] != 'q')
		first--;
	expect(strrchr(s, 'q') == (first ? s + first - 1 : NULL));
	expect(memrchr(s, 'q', n) == (first ? s + first - 1 : NULL));
	if (n > 8)
		expect(strstr(s, s + n - 7) != NULL);
	s[n] = (char)last;
}

static void comparisons(size_t a, size_t b, size_t n)
{
	size_t at = n ? draw() % n : 0;
	uint8_t last = left[a + n];
	int less;

	memcpy(right + b, left + a, n);
	left[a + n] = right[b + n] = 0;
	expect(!memcmp(left + a, right + b, n));
	expect(!strcmp((char *)left + a, (char *)right + b));
	if (!n) {
		left[a] = last;
		return;
	}
	right[b + at] ^= 1 + (draw() & 0x7e);
	if (!right[b + at])
		right[b + at] = 0xff;
	less = sign(left[a + at] - right[b + at]);
	expect(sign(memcmp(left + a, right + b, n)) == less);
	expect(sign(strcmp((char *)left + a, (char *)right + b)) == less);
	expect(sign(strncmp((char *)left + a, (char *)right + b, n)) == less);
	expect(!strncmp((char *)left + a, (char *)right + b, at));
	left[a + n] = last;
}

static void fill(void)
{
	for (size_t k = 0; k < ROOM; k++) {
		left[k] = (uint8_t)(draw() | 1); /* no end inside */
		right[k] = (uint8_t)draw();
	}
	for (int k = 0; k < 8; k++)
		left[draw() % ROOM] = 'q';
}

static void strings(void)
{
	wchar_t wide[130];

	begin();
	for (size_t k = 0; k < 12000; k++) {
		size_t a = draw() % 128, b = draw() % 128;
		size_t n = k % 3 ? draw() % 160 : draw() % 4096;

		if (k % 64 == 0)
			fill();
		copies(a, b, n);
		searches(a, n);
		comparisons(a, b, n);
		add(right, 256);
	}
	for (size_t n = 0; n < 128; n++) {
		wmemset(wide, L'x', n);
		wide[n] = 0;
		expect(wcslen(wide) == n &&
		       wmemchr(wide, 0, n + 1) == wide + n);
	}
	end("strings");
}

static int compare_words(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void sorts(void)
{
	static uint64_t words[50000];

	begin();
	for (size_t n = 0; n < ARRAY_SIZE(words); n++)
		words[n] = draw() >> (n % 48);
	qsort(words, ARRAY_SIZE(words), sizeof words[0], compare_words);
	for (size_t n = 1; n < ARRAY_SIZE(words); n++)
		expect(words[n - 1] <= words[n]);
	add(words, sizeof words);
	end("qsort");
}

int main(void)
{
	for (size_t n = 0; n < ARRAY_SIZE(rows); n++) {
		begin();
		for (unsigned k = 0; k < TIMES; k++)
			rows[n].fn(k);
		end(rows[n].name);
	}
	strings();
	sorts();
	printf("%d differences\n", bad);
	return bad != 0;
}
