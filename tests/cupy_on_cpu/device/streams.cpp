// Streams, events and graphs. Work is done when it is enqueued, so nothing is ever pending, except on
// a stream that is capturing: there it is recorded, and done each time the graph is launched.
#include "state.h"
#include <chrono>
#include <mutex>

namespace device {
namespace {

struct Event {
  double time = -1; // before it is recorded
  const Graph *captured_in = nullptr;
};

Stream null_stream;
// One capture at a time; CuPy's streams have no use for more.
Stream *capturing = nullptr;
cudaStreamCaptureMode capture_mode;
thread_local bool in_replay = false;

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

cudaError_t spoil_capture(cudaError_t error, const char *call) {
  capturing->invalidated = true;
  return fail(error, std::string(call) + " is not permitted while a stream is capturing");
}

// The legacy default stream waits for all blocking streams, a capturing one too.
bool is_tied_to_legacy_stream(const Stream *s) { return s && !(s->flags & cudaStreamNonBlocking); }

} // namespace

Stream *stream_of(const void *handle) {
  return (uintptr_t)handle <= (uintptr_t)cudaStreamPerThread ? &null_stream : (Stream *)handle;
}

bool replaying() { return in_replay; }

cudaError_t refuse_while_capturing(const char *call) {
  return capturing ? spoil_capture(cudaErrorStreamCaptureUnsupported, call) : cudaSuccess;
}
cudaError_t refuse_legacy_stream_while_capturing(const char *call) {
  if (is_tied_to_legacy_stream(capturing)) return spoil_capture(cudaErrorStreamCaptureImplicit, call);
  return refuse_allocation_while_capturing(call);
}
cudaError_t refuse_allocation_while_capturing(const char *call) {
  return capture_mode == cudaStreamCaptureModeRelaxed ? cudaSuccess : refuse_while_capturing(call);
}

std::string enqueue(Stream *s, std::function<std::string()> work) {
  if (s->capture) {
    s->capture->nodes.push_back(std::move(work));
    return "";
  }
  if (s == &null_stream)
    if (refuse_legacy_stream_while_capturing("work on the default stream")) return last_reason();
  return work();
}

} // namespace device

using namespace device;

extern "C" {

cudaError_t cudaStreamCreateWithPriority(cudaStream_t *s, unsigned flags, int priority) {
  auto *fresh = new Stream;
  fresh->flags = flags;
  fresh->priority = priority;
  *s = (cudaStream_t)fresh;
  return cudaSuccess;
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t *s, unsigned flags) {
  return cudaStreamCreateWithPriority(s, flags, 0);
}
cudaError_t cudaStreamCreate(cudaStream_t *s) { return cudaStreamCreateWithPriority(s, 0, 0); }
cudaError_t cudaStreamGetFlags(cudaStream_t s, unsigned *flags) {
  *flags = stream_of(s)->flags;
  return cudaSuccess;
}
cudaError_t cudaStreamGetPriority(cudaStream_t s, int *priority) {
  *priority = stream_of(s)->priority;
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t s) {
  if (stream_of(s) == capturing) capturing = nullptr;
  if (stream_of(s) != &null_stream) delete stream_of(s);
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t s) {
  if (stream_of(s)->capture) return refuse_while_capturing("cudaStreamSynchronize");
  tally(SYNCS);
  return cudaSuccess;
}
cudaError_t cudaDeviceSynchronize() {
  if (auto error = refuse_while_capturing("cudaDeviceSynchronize")) return error;
  tally(SYNCS);
  return cudaSuccess;
}
cudaError_t cudaStreamQuery(cudaStream_t s) {
  return stream_of(s)->capture ? refuse_while_capturing("cudaStreamQuery") : cudaSuccess;
}
cudaError_t cudaStreamAddCallback(cudaStream_t s, cudaStreamCallback_t f, void *data, unsigned) {
  if (stream_of(s)->capture) return refuse_while_capturing("cudaStreamAddCallback");
  f(s, cudaSuccess, data);
  return cudaSuccess;
}
cudaError_t cudaLaunchHostFunc(cudaStream_t s, cudaHostFn_t f, void *data) {
  enqueue(stream_of(s), [=] {
    f(data);
    return "";
  });
  return cudaSuccess;
}

// --- events --------------------------------------------------------------------------------------
cudaError_t cudaEventCreateWithFlags(cudaEvent_t *e, unsigned) {
  *e = (cudaEvent_t) new Event;
  return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t *e) { return cudaEventCreateWithFlags(e, 0); }
cudaError_t cudaEventDestroy(cudaEvent_t e) {
  delete (Event *)e;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t s) {
  tally(EVENTS);
  auto *event = (Event *)e;
  event->time = now();
  event->captured_in = stream_of(s)->capture.get();
  return cudaSuccess;
}
// Whether the event belongs to the capture that is going on. Later it counts as passed.
static bool is_captured(const Event *event) {
  return event->captured_in && capturing && capturing->capture.get() == event->captured_in;
}
cudaError_t cudaEventQuery(cudaEvent_t e) {
  if (is_captured((Event *)e)) return fail(cudaErrorCapturedEvent, "the event is part of a capture");
  return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t e) {
  if (is_captured((Event *)e)) return fail(cudaErrorCapturedEvent, "the event is part of a capture");
  tally(SYNCS);
  return cudaSuccess;
}
cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t start, cudaEvent_t end) {
  const double a = ((Event *)start)->time, b = ((Event *)end)->time;
  if (a < 0 || b < 0) return fail(cudaErrorInvalidResourceHandle, "the event was not recorded");
  *ms = (b - a) * 1e3;
  return cudaSuccess;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t s, cudaEvent_t e, unsigned) {
  // On a GPU this would draw the second stream into the capture.
  if (is_captured((Event *)e) && stream_of(s) != capturing) {
    capturing->invalidated = true;
    return fail(cudaErrorNotSupported, "capturing several streams is not emulated");
  }
  return cudaSuccess;
}

// --- graphs --------------------------------------------------------------------------------------
cudaError_t cudaStreamBeginCapture(cudaStream_t handle, cudaStreamCaptureMode mode) {
  Stream *s = stream_of(handle);
  if (s->flags == 0 && (uintptr_t)handle <= (uintptr_t)cudaStreamPerThread)
    return fail(cudaErrorStreamCaptureUnsupported, "the default stream can't capture");
  if (s->capture) return fail(cudaErrorIllegalState, "the stream is capturing already");
  if (capturing) return fail(cudaErrorNotSupported, "two captures at a time are not emulated");
  s->capture = std::make_unique<Graph>();
  s->invalidated = false;
  capturing = s;
  capture_mode = mode;
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t handle, cudaGraph_t *graph) {
  Stream *s = stream_of(handle);
  *graph = nullptr;
  if (!s->capture) return fail(cudaErrorIllegalState, "the stream is not capturing");
  std::unique_ptr<Graph> captured = std::move(s->capture);
  capturing = nullptr;
  if (s->invalidated) return fail(cudaErrorStreamCaptureInvalidated, "the capture was spoilt by an earlier call");
  *graph = (cudaGraph_t)captured.release();
  return cudaSuccess;
}
cudaError_t cudaStreamIsCapturing(cudaStream_t handle, cudaStreamCaptureStatus *status) {
  const Stream *s = stream_of(handle);
  *status = !s->capture       ? cudaStreamCaptureStatusNone
            : s->invalidated ? cudaStreamCaptureStatusInvalidated
                             : cudaStreamCaptureStatusActive;
  return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t *exec, cudaGraph_t graph, unsigned long long) {
  *exec = (cudaGraphExec_t) new Graph(*(Graph *)graph);
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t s) {
  if (stream_of(s)->capture) {
    refuse_while_capturing("cudaGraphLaunch");
    return fail(cudaErrorNotSupported, "a graph inside a captured graph is not emulated");
  }
  tally(GRAPH_LAUNCHES);
  std::string problem;
  in_replay = true;
  for (const auto &node : ((Graph *)exec)->nodes) {
    problem = node();
    if (!problem.empty()) break;
  }
  in_replay = false;
  return problem.empty() ? cudaSuccess : fail(cudaErrorLaunchFailure, problem);
}
cudaError_t cudaGraphUpload(cudaGraphExec_t, cudaStream_t) { return cudaSuccess; }
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete (Graph *)graph;
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  delete (Graph *)exec;
  return cudaSuccess;
}

} // extern "C"
