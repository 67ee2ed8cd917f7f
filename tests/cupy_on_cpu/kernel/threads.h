// Thread and block indices, barriers, shuffles, votes and atomics.
#pragma once
#include "vector_types.h"

// Set by device/block.cpp before a thread runs.
extern "C" {
extern uint3 on_cpu_thread_index, on_cpu_block_index;
extern dim3 on_cpu_block_size, on_cpu_grid_size;
extern char on_cpu_dynamic_shared[]; // at a fixed address, so that a global name can stand for it
void on_cpu_barrier();
int on_cpu_barrier_vote(int predicate, int kind); // kind: 0 count, 1 and, 2 or
void on_cpu_exchange(unsigned mask, const void *mine, void *theirs, unsigned size, unsigned lane);
unsigned on_cpu_ballot(unsigned mask, int predicate);
unsigned on_cpu_lane();
[[noreturn]] void on_cpu_stop(const char *why);

// The compiler emits this function into a kernel's object file exactly if the kernel may suspend;
// the device looks it up by name, and runs a kernel without it as a plain loop over its threads.
inline __attribute__((noinline, visibility("default"))) void on_cpu_suspends() { asm volatile(""); }
}

#define threadIdx on_cpu_thread_index
#define blockIdx on_cpu_block_index
#define blockDim on_cpu_block_size
#define gridDim on_cpu_grid_size
#define warpSize 32

static inline void __syncthreads() { on_cpu_suspends(); on_cpu_barrier(); }
static inline int __syncthreads_count(int p) { on_cpu_suspends(); return on_cpu_barrier_vote(p, 0); }
static inline int __syncthreads_and(int p) { on_cpu_suspends(); return on_cpu_barrier_vote(p, 1); }
static inline int __syncthreads_or(int p) { on_cpu_suspends(); return on_cpu_barrier_vote(p, 2); }
static inline void __threadfence() {}
static inline void __threadfence_block() {}
static inline void __threadfence_system() {}
#define __trap() on_cpu_stop("__trap() was called")

namespace on_cpu {
template <class T> inline T exchange(unsigned mask, T value, unsigned lane) {
  static_assert(sizeof(T) <= 16, "a shuffle moves 16 bytes at most");
  on_cpu_suspends();
  T theirs;
  on_cpu_exchange(mask, &value, &theirs, sizeof(T), lane);
  return theirs;
}
} // namespace on_cpu

static inline unsigned __ballot_sync(unsigned mask, int p) { on_cpu_suspends(); return on_cpu_ballot(mask, p); }
static inline int __any_sync(unsigned mask, int p) { return __ballot_sync(mask, p) != 0; }
static inline int __all_sync(unsigned mask, int p) { return __ballot_sync(mask, !p) == 0; }
static inline void __syncwarp(unsigned mask = 0xffffffffu) { __ballot_sync(mask, 0); }
template <class T> static inline T __shfl_sync(unsigned mask, T v, int source, int width = 32) {
  const unsigned lane = on_cpu_lane();
  return on_cpu::exchange(mask, v, (lane & ~(width - 1)) | (source & (width - 1)));
}
template <class T> static inline T __shfl_down_sync(unsigned mask, T v, unsigned delta, int width = 32) {
  const unsigned lane = on_cpu_lane();
  return on_cpu::exchange(mask, v, lane % width + delta < (unsigned)width ? lane + delta : lane);
}
template <class T> static inline T __shfl_up_sync(unsigned mask, T v, unsigned delta, int width = 32) {
  const unsigned lane = on_cpu_lane();
  return on_cpu::exchange(mask, v, lane % width >= delta ? lane - delta : lane);
}
template <class T> static inline T __shfl_xor_sync(unsigned mask, T v, int bits, int width = 32) {
  const unsigned lane = on_cpu_lane(), other = lane ^ bits;
  return on_cpu::exchange(mask, v, other / width == lane / width ? other : lane);
}

#define ON_CPU_ATOMIC(NAME, NEW)                                                                  \
  template <class T> static inline T NAME(T *p, std::common_type_t<T> v) {                        \
    const T old = *p;                                                                             \
    *p = NEW;                                                                                     \
    return old;                                                                                   \
  }
ON_CPU_ATOMIC(atomicAdd, old + v)
ON_CPU_ATOMIC(atomicSub, old - v)
ON_CPU_ATOMIC(atomicMax, v > old ? v : old)
ON_CPU_ATOMIC(atomicMin, v < old ? v : old)
ON_CPU_ATOMIC(atomicExch, v)
ON_CPU_ATOMIC(atomicAnd, old & v)
ON_CPU_ATOMIC(atomicOr, old | v)
ON_CPU_ATOMIC(atomicXor, old ^ v)
ON_CPU_ATOMIC(atomicInc, old >= v ? T(0) : T(old + 1))
#undef ON_CPU_ATOMIC
template <class T>
static inline T atomicCAS(T *p, std::common_type_t<T> expected, std::common_type_t<T> v) {
  const T old = *p;
  if (old == expected) *p = v;
  return old;
}
