// A stretch of elementwise operations, some results of which are summed over some of the loops.
//
// The loops fall into those that are kept and those that are summed over; the points of either kind are
// numbered. Threads of a block share out both kinds, along the last loop first, so that neighbours read
// what lies side by side: ALONG says of which kind that is. Each thread adds up its share, a block adds up
// its threads', and where gridDim.y blocks share one sum, each leaves a partial sum for a second kernel,
// which is made from this template too. No atomics: a sum is made of the same additions in each run. Why not
// the last block instead of a second launch: that rests on the order of memory accesses between blocks,
// which no test without a GPU can see, to save a launch of sums that take several as long.
//
// A template; see fused_elementwise.cu. The example is out = sum(a * b, axis=0) with a row b.
#include "memory.cuh"

namespace gpuad {

//[settings
typedef int Index;
typedef unsigned Count;
constexpr int WIDTH = 4;
enum { KEPT, SUMMED };
constexpr int ALONG = KEPT; // what the last loop is, along which neighbouring threads go
//]

struct Arguments {
    //[arguments
    const float *a0, *a1;
    void *o0;
    Index kept, summed, length1, kept_entries;
    Index a0_s0;
    //]
};

extern "C" __global__ void __launch_bounds__(256, 2) gpuad_reduce(const __grid_constant__ Arguments p) {
    __shared__ Slot shared[256];
    const int kept_lanes = ALONG == KEPT ? blockDim.x : blockDim.y, summed_lanes = ALONG == KEPT ? blockDim.y : blockDim.x;
    const int kept_lane = ALONG == KEPT ? threadIdx.x : threadIdx.y, summed_lane = ALONG == KEPT ? threadIdx.y : threadIdx.x;
    //[once
    //]
    for (Index first = (Index)blockIdx.x * kept_lanes; first < p.kept; first += (Index)gridDim.x * kept_lanes) {
        const Index k = first + kept_lane;
        //[sums
        double s0[WIDTH] = {};
        //]
        if (k < p.kept) {
            //[kept
            const Index at1 = k * WIDTH;
            const int count = p.length1 - at1 < WIDTH ? p.length1 - at1 : WIDTH;
            const Vector<float, WIDTH> a1 = load<WIDTH>(p.a1 + at1, count);
            //]
            for (Index i = (Index)blockIdx.y * summed_lanes + summed_lane; i < p.summed; i += (Index)gridDim.y * summed_lanes) {
                //[point
                const Index at0 = i;
                const Vector<float, WIDTH> a0 = load<WIDTH>(p.a0 + at0 * p.a0_s0 + at1, count);
                //]
#pragma unroll
                for (int j = 0; j < WIDTH; ++j) {
                    //[entry
                    const float v0 = a0.v[j];
                    const float v1 = a1.v[j];
                    const float v2 = v0 * v1;
                    s0[j] += (double)v2;
                    //]
                }
                //[stores
                //]
            }
        }
        //[totals
#pragma unroll
        for (int j = 0; j < WIDTH; ++j) {
            const double total = over_y(s0[j], shared);
            const Index place = k * WIDTH + j;
            if (summed_lane == 0 && place < p.kept_entries) {
                if (gridDim.y > 1) ((double *)p.o0)[blockIdx.y * p.kept_entries + place] = total;
                else ((float *)p.o0)[place] = (float)total;
            }
        }
        //]
    }
}

} // namespace gpuad

using gpuad::gpuad_reduce;
