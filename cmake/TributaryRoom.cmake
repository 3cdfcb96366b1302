# One top folder = one room = one shared library, built from every source in it.
# A shared library keeps the objects that only register themselves (ops, kernels,
# layers, ...), which a static archive would drop.

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()

add_library(tributary_flags INTERFACE)
target_include_directories(tributary_flags INTERFACE
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}> $<BUILD_INTERFACE:${PROJECT_BINARY_DIR}/generated>
  $<INSTALL_INTERFACE:include/tributary>)
target_compile_features(tributary_flags INTERFACE cxx_std_20)
target_compile_options(tributary_flags INTERFACE
  $<BUILD_INTERFACE:-Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers
    -Wno-stringop-overflow -Wno-restrict -Wno-array-bounds -fno-math-errno>)
target_compile_definitions(tributary_flags INTERFACE
  $<BUILD_INTERFACE:$<$<CONFIG:Debug>:_GLIBCXX_ASSERTIONS>>)
if(TRIBUTARY_SANITIZE STREQUAL "address")
  target_compile_options(tributary_flags INTERFACE -fsanitize=address,undefined
    -fno-sanitize-recover=undefined -fno-omit-frame-pointer -O1 -g)
  target_link_options(tributary_flags INTERFACE -fsanitize=address,undefined)
elseif(TRIBUTARY_SANITIZE STREQUAL "thread")
  target_compile_options(tributary_flags INTERFACE -fsanitize=thread -O1 -g)
  target_link_options(tributary_flags INTERFACE -fsanitize=thread)
endif()

# tributary_room(<name> DEPENDS <targets visible to users> PRIVATE <targets>)
function(tributary_room name)
  cmake_parse_arguments(ARG "" "" "DEPENDS;PRIVATE;EXCLUDE" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  foreach(pattern ${ARG_EXCLUDE})
    list(FILTER sources EXCLUDE REGEX ${pattern})
  endforeach()
  if(NOT sources)
    file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/empty.cc "")
    set(sources ${CMAKE_CURRENT_BINARY_DIR}/empty.cc)
  endif()
  add_library(tributary_${name} SHARED ${sources})
  add_library(Tributary::${name} ALIAS tributary_${name})
  target_link_libraries(tributary_${name} PUBLIC tributary_flags ${ARG_DEPENDS} PRIVATE ${ARG_PRIVATE})
  # Undefined symbols fail here, so a room can't lean on a later one.
  if(NOT TRIBUTARY_SANITIZE)
    target_link_options(tributary_${name} PRIVATE -Wl,-z,defs)
  endif()
  # Keep a room that is only registered into, never called by name.
  target_link_options(tributary_${name} PUBLIC -Wl,--no-as-needed)
  target_precompile_headers(tributary_${name} PRIVATE ${PROJECT_SOURCE_DIR}/cmake/pch.h)
  set_target_properties(tributary_${name} PROPERTIES EXPORT_NAME ${name}
    INSTALL_RPATH "$ORIGIN")
endfunction()
