# cmake --install: headers, libraries, the command line, jobs, and the files that
# find_package(Tributary) reads. Consumers link Tributary::trainer (which brings
# ops and core), or Tributary::distribute for training across processes.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(rooms core ops trainer)
if(TRIBUTARY_DISTRIBUTE)
  list(APPEND rooms distribute launch)
endif()

set(targets tributary_flags)
foreach(room ${rooms})
  list(APPEND targets tributary_${room})
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/${room} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/tributary
    FILES_MATCHING PATTERN "*.h")
endforeach()
set_target_properties(tributary_flags PROPERTIES EXPORT_NAME flags)
install(TARGETS ${targets} EXPORT TributaryTargets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
if(TARGET tributary)
  file(RELATIVE_PATH libraries_from_program
    ${CMAKE_INSTALL_FULL_BINDIR} ${CMAKE_INSTALL_FULL_LIBDIR})
  set_target_properties(tributary PROPERTIES INSTALL_RPATH "$ORIGIN/${libraries_from_program}")
  install(TARGETS tributary RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/Tributary)
install(EXPORT TributaryTargets NAMESPACE Tributary:: DESTINATION ${package_dir})
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/TributaryConfig.cmake.in
  ${PROJECT_BINARY_DIR}/TributaryConfig.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/TributaryConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/TributaryConfig.cmake
  ${PROJECT_BINARY_DIR}/TributaryConfigVersion.cmake DESTINATION ${package_dir})

install(DIRECTORY ${PROJECT_SOURCE_DIR}/configs/ DESTINATION ${CMAKE_INSTALL_DATADIR}/tributary/configs
  FILES_MATCHING PATTERN "*.yaml" PATTERN "*.json")
install(FILES ${PROJECT_SOURCE_DIR}/README.md ${PROJECT_SOURCE_DIR}/LICENSE
  DESTINATION ${CMAKE_INSTALL_DOCDIR} OPTIONAL)
