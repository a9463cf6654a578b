# Builds with this machine's GCC, as new as it is, against the older libraries of a folder that
# sysroot() of .ci/lib.sh made: the wheel then asks for nothing newer than manylinux_2_28 has. Set in the
# environment: ETSEG_SYSROOT, and ETSEG_TRIPLET, which is x86_64-linux-gnu or aarch64-linux-gnu.
set(root "$ENV{ETSEG_SYSROOT}")
set(triplet "$ENV{ETSEG_TRIPLET}")

set(CMAKE_SYSTEM_NAME Linux)
string(REGEX MATCH "^[^-]+" CMAKE_SYSTEM_PROCESSOR "${triplet}")
set(CMAKE_CXX_COMPILER "${triplet}-g++")
set(CMAKE_SYSROOT "${root}")

# All of the standard headers from there: the compiler's own C++ headers name newer symbols, and a
# cross-compiler of Debian prefers its own C headers to a sysroot's.
execute_process(COMMAND "${CMAKE_CXX_COMPILER}" -print-file-name=include
  OUTPUT_VARIABLE own OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
set(CMAKE_CXX_FLAGS_INIT "-nostdinc -include ${CMAKE_CURRENT_LIST_DIR}/before_glibc_2_30.h")
foreach(folder IN ITEMS
    "${root}/usr/include/c++/10" "${root}/usr/include/${triplet}/c++/10"
    "${root}/usr/include/c++/10/backward" "${own}"
    "${root}/usr/include/${triplet}" "${root}/usr/include")
  string(APPEND CMAKE_CXX_FLAGS_INIT " -isystem ${folder}")
endforeach()
set(libraries "-B${root}/usr/lib/${triplet}")
foreach(folder IN ITEMS usr/lib/gcc/${triplet}/10 usr/lib/${triplet} lib/${triplet})
  string(APPEND libraries " -L${root}/${folder}")
endforeach()
foreach(kind IN ITEMS EXE MODULE SHARED)
  set(CMAKE_${kind}_LINKER_FLAGS_INIT "${libraries}")
endforeach()

# Python, pybind11 and executorch are not in the sysroot.
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
foreach(kind IN ITEMS LIBRARY INCLUDE PACKAGE)
  set(CMAKE_FIND_ROOT_PATH_MODE_${kind} BOTH)
endforeach()
