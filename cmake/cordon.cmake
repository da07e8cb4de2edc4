# Options and the few functions that every folder's CMakeLists.txt uses.

set(CORDON_SANITIZE "" CACHE STRING "address, undefined, both with a comma, trap or empty")
option(CORDON_FUZZ "build the libFuzzer targets" OFF)

find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
  set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE})
endif()

add_compile_options(-Wall -Wextra -Wshadow -Wnon-virtual-dtor -Wno-missing-field-initializers
                    -Werror -fno-strict-aliasing)
add_link_options(-fuse-ld=lld-19)

# Lines are what a report needs; all of the debug information is a sixth of the compile time.
if(CORDON_SANITIZE)
  string(REPLACE "-g" "-gline-tables-only" CMAKE_CXX_FLAGS_RELWITHDEBINFO "${CMAKE_CXX_FLAGS_RELWITHDEBINFO}")
endif()

if(CORDON_SANITIZE MATCHES "address|undefined")
  add_compile_options(-fsanitize=${CORDON_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${CORDON_SANITIZE})
endif()

# Without a runtime, so that it works behind the system call filter: undefined behaviour and a violated order of locks
# are a trap, which ends the sandbox with a reason.
if(CORDON_SANITIZE STREQUAL "trap")
  add_compile_options(-fsanitize=undefined -fsanitize-trap=undefined -UNDEBUG)
endif()

# A fuzz target sees how far an input came only in code that is instrumented.
if(CORDON_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
  add_link_options(-fsanitize=fuzzer-no-link)
endif()

# cordon_library(NAME SOURCES... LINK libs...): a static library; its headers are found as "NAME/x.h"
# because every target sees src/ as its include root.
function(cordon_library name)
  cmake_parse_arguments(A "" "" "SOURCES;LINK" ${ARGN})
  add_library(${name} STATIC ${A_SOURCES})
  target_include_directories(${name} PUBLIC ${CMAKE_SOURCE_DIR}/src)
  target_link_libraries(${name} PUBLIC ${A_LINK})
endfunction()

# What the start-up of a static program does not ask (quick_start.py). Only where it is the C library's own: an
# object for a sanitizer or another processor is not touched.
execute_process(COMMAND ${CMAKE_CXX_COMPILER} -print-file-name=libc.a OUTPUT_VARIABLE libc OUTPUT_STRIP_TRAILING_WHITESPACE)
set(quick_start ${CMAKE_BINARY_DIR}/libc-start.o)
add_custom_command(OUTPUT ${quick_start}
  COMMAND ${CMAKE_SOURCE_DIR}/cmake/quick_start.py ${libc} ${quick_start}
  DEPENDS ${CMAKE_SOURCE_DIR}/cmake/quick_start.py ${libc} VERBATIM)
add_custom_target(quick_start DEPENDS ${quick_start})

# cordon_program(NAME SOURCES... LINK libs...): fully static unless a sanitizer forbids it.
function(cordon_program name)
  cmake_parse_arguments(A "DYNAMIC" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${A_SOURCES})
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR}/src)
  target_link_libraries(${name} PRIVATE ${A_LINK})
  if(NOT A_DYNAMIC AND CORDON_SANITIZE MATCHES "^(trap)?$")
    target_link_options(${name} PRIVATE -static ${quick_start})
    set_target_properties(${name} PROPERTIES LINK_DEPENDS ${quick_start})
    add_dependencies(${name} quick_start)
  endif()
  # The linker writes through a mapping, and so the file lies in the page cache in pieces of one page. A copy, which an
  # installed program is too, lies there in larger ones: its pages are mapped many at a time.
  add_custom_command(TARGET ${name} POST_BUILD
    COMMAND cp $<TARGET_FILE:${name}> $<TARGET_FILE:${name}>.copy
    COMMAND mv $<TARGET_FILE:${name}>.copy $<TARGET_FILE:${name}> VERBATIM)
endfunction()

# cordon_test(NAME SOURCES... LINK libs... [FULL] [SANITIZED]): a GoogleTest program, run by ctest with the label
# `fast` (every `make test`) or `full` (CI only); SANITIZED ones also run with both sanitizers in CI.
find_package(GTest REQUIRED)
add_custom_target(sanitized_tests)
add_custom_target(fuzz_targets)
function(cordon_test name)
  cmake_parse_arguments(A "FULL;SANITIZED" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${A_SOURCES})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR}/src)
  target_link_libraries(${name} PRIVATE ${A_LINK} GTest::gtest GTest::gtest_main)
  add_test(NAME ${name} COMMAND ${name})
  set(labels fast)
  if(A_FULL)
    set(labels full)
  endif()
  if(A_SANITIZED)
    list(APPEND labels sanitized)
    add_dependencies(sanitized_tests ${name})
  endif()
  set_tests_properties(${name} PROPERTIES LABELS "${labels}")
endfunction()

# cordon_fuzz(NAME SOURCES... LINK libs...): a libFuzzer target with its corpus in fuzz/corpus/NAME.
# Without CORDON_FUZZ nothing is built: the parsers are covered by their unit tests then.
function(cordon_fuzz name)
  cmake_parse_arguments(A "" "" "SOURCES;LINK" ${ARGN})
  if(CORDON_FUZZ)
    add_executable(${name} ${A_SOURCES})
    target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR}/src)
    target_compile_options(${name} PRIVATE -fsanitize=fuzzer)
    target_link_libraries(${name} PRIVATE ${A_LINK})
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
    add_dependencies(fuzz_targets ${name})
  endif()
endfunction()
