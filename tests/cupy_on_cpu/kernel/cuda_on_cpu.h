// CUDA C++ as g++ reads it: put in front of an unchanged kernel source.
//
// Every CUDA thread of a block is a fiber on one OS thread, and blocks run one after another, so
// barriers, shuffles and votes really suspend a thread. The scheduler is in device/block.cpp,
// compiled once: what a kernel has to compile is kept small, because compiling is what takes time.
//
// There is no memory model here: atomics are plain read-modify-writes.
#pragma once
#include "keywords.h"
#include "vector_types.h"
#include "threads.h"
#include "half_types.h"
#include "device_math.h"
#include "export.h"
