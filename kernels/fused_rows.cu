// A stretch of elementwise operations with folds: values made of a whole row, such as its largest entry.
//
// Threads with the same threadIdx.y have a row, the last loop, between them. They go over it once for each
// fold that needs the one before, and once more for the outputs. A row of at most HELD * WIDTH entries a
// thread is read once and stays in registers; a longer one (HELD is 0) is read again each time. Results
// that are summed over the other loops are added up along the rows that a thread has, entry by entry, in
// registers or, for long rows, in the place that this thread alone has in the output; what is left to be
// added is done by a second kernel.
//
// A template; see fused_elementwise.cu. The example is softmax.
#include "memory.cuh"

namespace gpuad {

//[settings
typedef int Index;
typedef unsigned Count;
constexpr int WIDTH = 4;
constexpr int HELD = 1;
//]

struct Arguments {
    //[arguments
    const float *a0;
    float *o0;
    Index kept, rows, length1;
    Index a0_s0;
    //]
};

// `rows` rows belong to each of the `kept` sums over rows; where no such sum is asked for, kept is 1.
extern "C" __global__ void __launch_bounds__(512, 1) gpuad_rows(const __grid_constant__ Arguments p) {
    __shared__ Slot shared[16];
    //[once
    //]
    for (Index k = blockIdx.y; k < p.kept; k += gridDim.y) {
        //[sums
        //]
        for (Index first = (Index)blockIdx.x * blockDim.y; first < p.rows; first += (Index)gridDim.x * blockDim.y) {
            // Threads beyond the last row take part in the folds, and store nothing.
            const bool there = first + (Index)threadIdx.y < p.rows;
            const Index r = there ? first + (Index)threadIdx.y : p.rows - 1;
            //[row
            const Index at0 = r;
            Vector<float, WIDTH> a0[HELD];
#pragma unroll
            for (int h = 0; h < HELD; ++h) {
                const Index at1 = ((Index)threadIdx.x + h * (Index)blockDim.x) * WIDTH;
                const int count = p.length1 - at1 < WIDTH ? p.length1 - at1 : WIDTH;
                a0[h] = load<WIDTH>(p.a0 + at0 * p.a0_s0 + at1, count);
            }
            float f1 = Extreme<float>::smallest();
#pragma unroll
            for (int h = 0; h < HELD; ++h) {
                const Index at1 = ((Index)threadIdx.x + h * (Index)blockDim.x) * WIDTH;
                const int count = p.length1 - at1 < WIDTH ? p.length1 - at1 : WIDTH;
#pragma unroll
                for (int j = 0; j < WIDTH; ++j)
                    if (j < count) f1 = maximum(f1, a0[h].v[j]);
            }
            const float v1 = over_x<Maximum>(f1, shared);
            double f2 = 0.0;
#pragma unroll
            for (int h = 0; h < HELD; ++h) {
                const Index at1 = ((Index)threadIdx.x + h * (Index)blockDim.x) * WIDTH;
                const int count = p.length1 - at1 < WIDTH ? p.length1 - at1 : WIDTH;
#pragma unroll
                for (int j = 0; j < WIDTH; ++j)
                    if (j < count) f2 += (double)exp(a0[h].v[j] - v1);
            }
            const float v2 = (float)over_x<Add>(f2, shared);
#pragma unroll
            for (int h = 0; h < HELD; ++h) {
                const Index at1 = ((Index)threadIdx.x + h * (Index)blockDim.x) * WIDTH;
                const int count = p.length1 - at1 < WIDTH ? p.length1 - at1 : WIDTH;
                Vector<float, WIDTH> o0;
#pragma unroll
                for (int j = 0; j < WIDTH; ++j) o0.v[j] = exp(a0[h].v[j] - v1) / v2;
                if (there) save<WIDTH>(p.o0 + at0 * p.length1 + at1, o0, count);
            }
            //]
        }
        //[totals
        //]
    }
}

} // namespace gpuad

using gpuad::gpuad_rows;
