# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
#
# Given to CMake as CMAKE_PROJECT_INCLUDE when our scripts build plexus_msgs; a workspace does without.
# What it does is put off to the end of CMakeLists.txt, when all targets are known. Needs CMake 3.21.

# The ROS 2 wheels export targets whose include directories include those of the machine that built
# the wheels, and CMake refuses to generate with a directory that does not exist.
function(plexus_drop_missing_includes)
  get_property(targets DIRECTORY PROPERTY IMPORTED_TARGETS)
  foreach(target IN LISTS targets)
    get_target_property(directories ${target} INTERFACE_INCLUDE_DIRECTORIES)
    if(NOT directories)
      continue()
    endif()
    set(present "")
    foreach(directory IN LISTS directories)
      # A generator expression is not a path yet: leave it as it is.
      if(directory MATCHES "\\$<" OR EXISTS "${directory}")
        list(APPEND present "${directory}")
      endif()
    endforeach()
    set_target_properties(${target} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${present}")
  endforeach()
endfunction()

# The compiler spends its time on the headers, which are the same for every interface: one file for
# all interfaces takes half the time. The generators left out do not compile so.
function(plexus_compile_together)
  foreach(generator typesupport_fastrtps_cpp typesupport_fastrtps_c typesupport_cpp)
    set(target ${PROJECT_NAME}__rosidl_${generator})
    if(TARGET ${target})
      set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 16)
    endif()
  endforeach()
endfunction()

cmake_language(DEFER CALL plexus_drop_missing_includes)
cmake_language(DEFER CALL plexus_compile_together)
