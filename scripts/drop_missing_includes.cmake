# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
#
# Given to CMake as CMAKE_PROJECT_INCLUDE. The ROS 2 wheels export targets whose include directories
# include those of the machine that built the wheels, and CMake refuses to generate with a
# directory that does not exist. Once all packages are found, such directories are taken out of the
# imported targets. Needs CMake 3.21.

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

cmake_language(DEFER CALL plexus_drop_missing_includes)
