// ON_CPU_EXPORT(symbol, kernel): makes `kernel` known to the device as `symbol`.
#pragma once
#include "launch_record.h"

// The linker makes these two where the module has static shared memory.
extern "C" {
extern char __start_on_cpu_shared[] __attribute__((weak, visibility("hidden")));
extern char __stop_on_cpu_shared[] __attribute__((weak, visibility("hidden")));
}

namespace on_cpu {

template <auto kernel, class Type> struct Caller;
template <auto kernel, class... Args> struct Caller<kernel, void (*)(Args...)> {
  static constexpr size_t sizes[sizeof...(Args) + 1] = {sizeof(Args)..., 0};
  static void call(void **arguments) { call(arguments, std::index_sequence_for<Args...>()); }
  template <size_t... i> static void call(void **arguments, std::index_sequence<i...>) {
    kernel(*(std::remove_const_t<Args> *)arguments[i]...);
  }
  static Kernel record() {
    return {call, sizeof...(Args), sizes, __start_on_cpu_shared, __stop_on_cpu_shared};
  }
};

} // namespace on_cpu

#define ON_CPU_EXPORT(symbol, ...)                                                                \
  extern "C" __attribute__((visibility("default"))) on_cpu::Kernel symbol() {                     \
    return on_cpu::Caller<&__VA_ARGS__, decltype(&__VA_ARGS__)>::record();                        \
  }
