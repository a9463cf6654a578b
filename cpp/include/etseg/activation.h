// What turns a program's output into probabilities. Names only: kernels include it too.
#pragma once

namespace etseg {

enum class Activation {
  kSoftmax,    // over the channels
  kSigmoid,    // of each channel by itself
  kNormalise,  // scores, 0 or more: each one's share of the sum over the channels
  kNone,       // the program's output is probabilities already
};

}  // namespace etseg
