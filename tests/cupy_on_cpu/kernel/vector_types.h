// float2, int4 and the like, with the alignment that CUDA gives them.
#pragma once

#define ON_CPU_VECTOR_TYPES(T, NAME)                                                              \
  struct NAME##1 { T x; };                                                                        \
  struct alignas(2 * sizeof(T)) NAME##2 { T x, y; };                                              \
  struct NAME##3 { T x, y, z; };                                                                  \
  struct alignas(4 * sizeof(T) > 16 ? 16 : 4 * sizeof(T)) NAME##4 { T x, y, z, w; };              \
  static inline NAME##2 make_##NAME##2(T x, T y) { return {x, y}; }                               \
  static inline NAME##3 make_##NAME##3(T x, T y, T z) { return {x, y, z}; }                       \
  static inline NAME##4 make_##NAME##4(T x, T y, T z, T w) { return {x, y, z, w}; }
ON_CPU_VECTOR_TYPES(signed char, char)
ON_CPU_VECTOR_TYPES(unsigned char, uchar)
ON_CPU_VECTOR_TYPES(short, short)
ON_CPU_VECTOR_TYPES(unsigned short, ushort)
ON_CPU_VECTOR_TYPES(int, int)
ON_CPU_VECTOR_TYPES(unsigned, uint)
ON_CPU_VECTOR_TYPES(long, long)
ON_CPU_VECTOR_TYPES(unsigned long, ulong)
ON_CPU_VECTOR_TYPES(long long, longlong)
ON_CPU_VECTOR_TYPES(unsigned long long, ulonglong)
ON_CPU_VECTOR_TYPES(float, float)
ON_CPU_VECTOR_TYPES(double, double)

struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};
