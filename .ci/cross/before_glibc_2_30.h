// Included before everything else where toolchain.cmake builds: <condition_variable> then waits as
// it does on every glibc older than 2.30, instead of by pthread_cond_clockwait, which came with it.
#pragma once
#ifdef __cplusplus
#include <bits/c++config.h>
#undef _GLIBCXX_USE_PTHREAD_COND_CLOCKWAIT
#endif
