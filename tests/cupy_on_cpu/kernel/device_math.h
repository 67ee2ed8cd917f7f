// Functions that CUDA has built in and the C++ library has not.
#pragma once

using std::isfinite;
using std::isinf;
using std::isnan;
using std::max;
using std::min;
using std::signbit;

static inline int __popc(unsigned x) { return __builtin_popcount(x); }
static inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
static inline int __ffs(int x) { return __builtin_ffs(x); }
static inline int __ffsll(long long x) { return __builtin_ffsll(x); }
static inline int __clz(int x) { return x ? __builtin_clz(x) : 32; }
static inline int __clzll(long long x) { return x ? __builtin_clzll(x) : 64; }
static inline unsigned __umulhi(unsigned a, unsigned b) { return (uint64_t)a * b >> 32; }
static inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
  return (unsigned __int128)a * b >> 64;
}

template <class To, class From> static inline To on_cpu_same_bits(From x) {
  static_assert(sizeof(To) == sizeof(From), "");
  To r;
  memcpy(&r, &x, sizeof r);
  return r;
}
static inline float __int_as_float(int x) { return on_cpu_same_bits<float>(x); }
static inline float __uint_as_float(unsigned x) { return on_cpu_same_bits<float>(x); }
static inline int __float_as_int(float x) { return on_cpu_same_bits<int>(x); }
static inline unsigned __float_as_uint(float x) { return on_cpu_same_bits<unsigned>(x); }
static inline long long __double_as_longlong(double x) { return on_cpu_same_bits<long long>(x); }
static inline double __longlong_as_double(long long x) { return on_cpu_same_bits<double>(x); }

// A float32 function computed in float64, under its two names.
#define ON_CPU_FLOAT(NAME)                                                                        \
  static inline float NAME##f(float x) { return (float)NAME((double)x); }                         \
  static inline float NAME(float x) { return NAME##f(x); }
static inline double rsqrt(double x) { return 1.0 / sqrt(x); }
static inline double rcbrt(double x) { return 1.0 / cbrt(x); }
static inline double sinpi(double x) {
  const double r = fmod(x, 2.0), a = fabs(r); // exact, so multiples of 1/2 come out exact
  if (a == 0.0 || a == 1.0) return copysign(0.0, x);
  const double s = a > 1.0 ? -sin(M_PI * (a - 1.0)) : sin(M_PI * (a > 0.5 ? 1.0 - a : a));
  return r < 0 ? -s : s;
}
static inline double cospi(double x) { return sinpi(0.5 - fabs(fmod(x, 2.0))); }
static inline double normcdf(double x) { return 0.5 * erfc(-x * M_SQRT1_2); }
static inline double cyl_bessel_i0(double x) { return std::cyl_bessel_i(0.0, fabs(x)); }
static inline double cyl_bessel_i1(double x) { return copysign(std::cyl_bessel_i(1.0, fabs(x)), x); }
static inline double erfcx(double x) {
  if (x < 25.0) return exp(x * x) * erfc(x);
  const double t = 1.0 / (x * x);
  return (1.0 - 0.5 * t * (1.0 - 1.5 * t * (1.0 - 2.5 * t))) / (x * 1.7724538509055160273);
}
// erfc(y) = x by Halley's method, which roughly triples the number of correct digits a step.
static inline double erfcinv(double x) {
  if (!(x >= 0.0 && x <= 2.0)) return NAN;
  if (x == 0.0) return INFINITY;
  if (x == 2.0) return -INFINITY;
  const double tail = x < 1.0 ? x : 2.0 - x;
  const double t = sqrt(-2.0 * log(0.5 * tail));
  double y = -M_SQRT1_2 * ((2.30753 + t * 0.27061) / (1.0 + t * (0.99229 + t * 0.04481)) - t);
  for (int i = 0; i < 3; i++) {
    const double error = erfc(y) - tail;
    y += error / (1.1283791670955125739 * exp(-y * y) - y * error);
  }
  return x < 1.0 ? y : -y;
}
static inline double erfinv(double x) {
  if (fabs(x) > 0.5) return x > 0 ? erfcinv(1.0 - x) : -erfcinv(1.0 + x);
  double y = 0.8862269254527580137 * x; // near 0, 1 - x would lose the digits of x
  for (int i = 0; i < 4; i++) {
    const double error = erf(y) - x;
    const double slope = 1.1283791670955125739 * exp(-y * y);
    y -= error / (slope + y * error);
  }
  return y;
}
static inline double normcdfinv(double x) { return -M_SQRT2 * erfcinv(2.0 * x); }
ON_CPU_FLOAT(rsqrt)
ON_CPU_FLOAT(rcbrt)
ON_CPU_FLOAT(sinpi)
ON_CPU_FLOAT(cospi)
ON_CPU_FLOAT(normcdf)
ON_CPU_FLOAT(normcdfinv)
ON_CPU_FLOAT(cyl_bessel_i0)
ON_CPU_FLOAT(cyl_bessel_i1)
ON_CPU_FLOAT(erfcx)
ON_CPU_FLOAT(erfcinv)
ON_CPU_FLOAT(erfinv)
#undef ON_CPU_FLOAT

static inline float __fdividef(float a, float b) { return a / b; }
static inline float __frcp_rn(float x) { return 1.0f / x; }
static inline float __fsqrt_rn(float x) { return sqrtf(x); }
static inline float __fadd_rn(float a, float b) { return a + b; }
static inline float __fmul_rn(float a, float b) { return a * b; }
static inline float __fdiv_rn(float a, float b) { return a / b; }
static inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
static inline double __dadd_rn(double a, double b) { return a + b; }
static inline double __dmul_rn(double a, double b) { return a * b; }
static inline double __fma_rn(double a, double b, double c) { return fma(a, b, c); }
static inline float __saturatef(float x) { return x > 0.0f ? (x < 1.0f ? x : 1.0f) : 0.0f; }
// CUDA's fast versions are less exact than these.
#define __cosf cosf
#define __expf expf
#define __logf logf
#define __powf powf
#define __sinf sinf
