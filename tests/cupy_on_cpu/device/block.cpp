// Runs the threads of a block on one OS thread: as fibers if the kernel may suspend, else one after
// another.
//
// A fiber is entered once with setcontext and switched with longjmp, which makes no system call.
// Where shared memory isn't written it holds 0xFF bytes, so reading it early gives NaN.
#include "block.h"
#include "../kernel/threads.h"
#include <algorithm>
#include <csetjmp>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <ucontext.h>
#include <vector>

uint3 on_cpu_thread_index, on_cpu_block_index;
dim3 on_cpu_block_size, on_cpu_grid_size;
alignas(1024) char on_cpu_dynamic_shared[device::SHARED_BYTES_AT_MOST];

namespace device {
namespace {

constexpr unsigned WARP = 32;
constexpr size_t STACK_BYTES = 128 << 10;
constexpr size_t SLOT_BYTES = 16;

enum class State : char { READY, AT_BARRIER, AT_WARP, DONE };
struct Fiber {
  jmp_buf here;
  std::unique_ptr<char[]> stack;
  bool started = false;
  State state = State::READY;
  unsigned mask = 0; // the lanes that a warp primitive waits for
  alignas(SLOT_BYTES) char slot[SLOT_BYTES]; // what this lane gives to a warp primitive
  int predicate = 0;
};

// One kernel runs at a time, so the state of the running block is here.
std::mutex one_kernel_at_a_time;
std::vector<Fiber> fibers;
std::vector<unsigned> thread_order;
jmp_buf scheduler;
void (*call)(void **);
void **call_arguments;
unsigned threads, current;
bool lenient;
int votes[3]; // count, and, or of the barrier that was last released
std::string stopped;

Order chosen_order = FORWARD;
uint64_t chosen_seed = 0;

void set_current(unsigned thread) {
  current = thread;
  const unsigned nx = on_cpu_block_size.x, ny = on_cpu_block_size.y;
  on_cpu_thread_index = {thread % nx, thread / nx % ny, thread / (nx * ny)};
}

void suspend(State why) {
  Fiber &me = fibers[current];
  me.state = why;
  const unsigned thread = current;
  if (!_setjmp(me.here)) _longjmp(scheduler, 1);
  set_current(thread);
}

void fiber_main() {
  call(call_arguments);
  fibers[current].state = State::DONE;
  _longjmp(scheduler, 1);
}

void resume(unsigned thread) {
  Fiber &fiber = fibers[thread];
  set_current(thread);
  fiber.state = State::READY;
  if (_setjmp(scheduler)) return;
  if (fiber.started) _longjmp(fiber.here, 1);
  fiber.started = true;
  static ucontext_t entry;
  getcontext(&entry);
  entry.uc_stack.ss_sp = fiber.stack.get();
  entry.uc_stack.ss_size = STACK_BYTES;
  entry.uc_link = nullptr;
  makecontext(&entry, fiber_main, 0);
  setcontext(&entry);
}

// Lets go the lanes whose warp primitive has all its lanes. Whether there were any.
bool release_warps() {
  bool released = false;
  for (unsigned base = 0; base < threads; base += WARP) {
    const unsigned lanes = std::min(WARP, threads - base);
    for (unsigned lane = 0; lane < lanes; lane++) {
      if (fibers[base + lane].state != State::AT_WARP) continue;
      const unsigned mask = fibers[base + lane].mask;
      bool complete = true;
      for (unsigned other = 0; other < lanes; other++) {
        if (!(mask >> other & 1)) continue;
        const Fiber &o = fibers[base + other];
        if (o.state == State::DONE) {
          stopped = "a warp primitive names a lane that has exited";
          return false;
        }
        complete &= o.state == State::AT_WARP && o.mask == mask;
      }
      if (!complete) continue;
      for (unsigned other = 0; other < lanes; other++)
        if (mask >> other & 1) fibers[base + other].state = State::READY;
      released = true;
    }
  }
  return released;
}

// Lets go the threads at __syncthreads if all are there. Whether the block goes on.
bool release_barrier() {
  unsigned done = 0, waiting = 0;
  for (const Fiber &f : fibers) done += f.state == State::DONE, waiting += f.state == State::AT_BARRIER;
  if (done == threads) return false;
  if (waiting + done != threads)
    stopped = "deadlock: the threads of a block wait at different barriers";
  else if (done && !lenient)
    stopped = "__syncthreads was reached by only part of the block: the other threads had returned";
  if (!stopped.empty()) return false;
  votes[0] = 0, votes[1] = 1, votes[2] = 0;
  for (Fiber &f : fibers) {
    if (f.state == State::DONE) continue;
    f.state = State::READY;
    votes[0] += f.predicate, votes[1] &= f.predicate, votes[2] |= f.predicate;
  }
  return true;
}

void run_fibers() {
  for (Fiber &f : fibers) f.started = false, f.state = State::READY;
  do {
    for (unsigned thread : thread_order) {
      if (fibers[thread].state == State::READY) resume(thread);
      if (!stopped.empty()) return;
    }
  } while (release_warps() || (stopped.empty() && release_barrier()));
}

void run_loop() {
  if (_setjmp(scheduler)) return; // a thread called on_cpu_stop
  if (chosen_order == FORWARD) {
    uint3 &at = on_cpu_thread_index;
    const dim3 &size = on_cpu_block_size;
    for (at.z = 0; at.z < size.z; at.z++)
      for (at.y = 0; at.y < size.y; at.y++)
        for (at.x = 0; at.x < size.x; at.x++) call(call_arguments);
    return;
  }
  for (unsigned thread : thread_order) {
    set_current(thread);
    call(call_arguments);
  }
}

void shuffle(std::vector<unsigned> &order, uint64_t &random) {
  for (size_t i = order.size() - 1; i > 0; i--) {
    random = random * 6364136223846793005ull + 1442695040888963407ull;
    std::swap(order[i], order[(random >> 33) % (i + 1)]);
  }
}

} // namespace

void set_order(Order order, uint64_t seed) { chosen_order = order, chosen_seed = seed; }

std::string run_blocks(const on_cpu::Kernel &kernel, const Launch &launch, void **arguments) {
  std::lock_guard<std::mutex> lock(one_kernel_at_a_time);
  const unsigned *g = launch.grid, *b = launch.block;
  on_cpu_grid_size = dim3(g[0], g[1], g[2]);
  on_cpu_block_size = dim3(b[0], b[1], b[2]);
  threads = b[0] * b[1] * b[2];
  call = kernel.call;
  call_arguments = arguments;
  lenient = launch.lenient;
  stopped.clear();

  if (launch.suspends) {
    fibers.resize(threads);
    for (Fiber &f : fibers)
      if (!f.stack) f.stack.reset(new char[STACK_BYTES]);
  }
  thread_order.resize(threads);
  for (unsigned i = 0; i < threads; i++) thread_order[i] = chosen_order == REVERSE ? threads - 1 - i : i;

  uint64_t random = chosen_seed * 2 + 1;
  const uint64_t blocks = (uint64_t)g[0] * g[1] * g[2];
  for (uint64_t i = 0; i < blocks && stopped.empty(); i++) {
    const uint64_t block = chosen_order == REVERSE ? blocks - 1 - i : i;
    on_cpu_block_index = {(unsigned)(block % g[0]), (unsigned)(block / g[0] % g[1]),
                          (unsigned)(block / ((uint64_t)g[0] * g[1]))};
    memset(on_cpu_dynamic_shared, 0xFF, launch.dynamic_shared);
    if (kernel.shared_begin) memset(kernel.shared_begin, 0xFF, kernel.shared_end - kernel.shared_begin);
    if (chosen_order == SHUFFLED) shuffle(thread_order, random);
    if (launch.suspends) run_fibers(); else run_loop();
  }
  return stopped;
}

} // namespace device

// --- what kernels call ---------------------------------------------------------------------------
using namespace device;

extern "C" {

void on_cpu_stop(const char *why) {
  stopped = why;
  _longjmp(scheduler, 1);
}

unsigned on_cpu_lane() { return current % WARP; }

void on_cpu_barrier() {
  fibers[current].predicate = 0;
  suspend(State::AT_BARRIER);
}

int on_cpu_barrier_vote(int predicate, int kind) {
  fibers[current].predicate = predicate != 0;
  suspend(State::AT_BARRIER);
  return votes[kind];
}

// Waits for the lanes of the mask; returns the lanes of this warp that the mask names.
static unsigned wait_for_lanes(unsigned mask) {
  const unsigned lane = current % WARP, lanes = std::min(WARP, threads - (current - lane));
  if (!(mask >> lane & 1)) on_cpu_stop("a warp primitive was called by a lane outside its own mask");
  mask &= lanes == WARP ? ~0u : (1u << lanes) - 1;
  fibers[current].mask = mask;
  suspend(State::AT_WARP);
  return mask;
}

// Each waits twice: for all lanes to have given their value, then for all to have read the others'.
void on_cpu_exchange(unsigned mask, const void *mine, void *theirs, unsigned size, unsigned lane) {
  memcpy(fibers[current].slot, mine, size);
  const unsigned named = wait_for_lanes(mask);
  if (lane >= WARP || !(named >> lane & 1)) on_cpu_stop("a shuffle reads a lane outside its mask");
  memcpy(theirs, fibers[current / WARP * WARP + lane].slot, size);
  wait_for_lanes(mask);
}

unsigned on_cpu_ballot(unsigned mask, int predicate) {
  fibers[current].predicate = predicate != 0;
  const unsigned named = wait_for_lanes(mask), base = current / WARP * WARP;
  unsigned result = 0;
  for (unsigned lane = 0; lane < WARP; lane++)
    if (named >> lane & 1 && fibers[base + lane].predicate) result |= 1u << lane;
  wait_for_lanes(mask);
  return result;
}

} // extern "C"
