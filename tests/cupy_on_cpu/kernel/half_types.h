// float16 and bfloat16: storage types that round to nearest even and compute in float32.
#pragma once
#include <cstdint>
#include <cstring>
#include <type_traits>

struct __half_raw { unsigned short x; };
struct __half {
  _Float16 v;
  __half() = default;
  template <class T, class = std::enable_if_t<std::is_arithmetic<T>::value>>
  __half(T f) : v((_Float16)(float)f) {}
  __half(double f) : v((_Float16)f) {}
  __half(const __half_raw &r) { memcpy(&v, &r, 2); }
  operator __half_raw() const { __half_raw r; memcpy(&r, &v, 2); return r; }
  operator float() const { return (float)v; }
};
typedef __half half;
struct alignas(4) __half2 { __half x, y; };
typedef __half2 half2;
static inline unsigned short __half_as_ushort(__half h) { return __half_raw(h).x; }
static inline __half __ushort_as_half(unsigned short x) { return __half(__half_raw{x}); }
static inline float __half2float(__half h) { return (float)h.v; }
static inline __half __float2half(float f) { return __half(f); }
static inline __half __float2half_rn(float f) { return __half(f); }
static inline bool __hisnan(__half h) { return (__half_as_ushort(h) & 0x7fff) > 0x7c00; }
static inline int __hisinf(__half h) { return (__half_as_ushort(h) & 0x7fff) == 0x7c00; }

struct __nv_bfloat16 {
  uint16_t v;
  __nv_bfloat16() = default;
  __nv_bfloat16(float f) {
    uint32_t bits;
    memcpy(&bits, &f, 4);
    const bool nan = (bits & 0x7fffffffu) > 0x7f800000u;
    v = nan ? 0x7fff : (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1)) >> 16);
  }
  operator float() const {
    const uint32_t bits = (uint32_t)v << 16;
    float f;
    memcpy(&f, &bits, 4);
    return f;
  }
};
struct alignas(4) __nv_bfloat162 { __nv_bfloat16 x, y; };
static inline unsigned short __bfloat16_as_ushort(__nv_bfloat16 h) { return h.v; }
static inline __nv_bfloat16 __ushort_as_bfloat16(unsigned short x) {
  __nv_bfloat16 h;
  h.v = x;
  return h;
}
static inline bool __hisnan(__nv_bfloat16 h) { return (h.v & 0x7fff) > 0x7f80; }
static inline int __hisinf(__nv_bfloat16 h) { return (h.v & 0x7fff) == 0x7f80; }
static inline float __bfloat162float(__nv_bfloat16 h) { return (float)h; }
static inline __nv_bfloat16 __float2bfloat16(float f) { return __nv_bfloat16(f); }
static inline __nv_bfloat16 __float2bfloat16_rn(float f) { return __nv_bfloat16(f); }
