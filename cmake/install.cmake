# `cmake --install build --prefix P`: the command in bin, what it starts and the userland in lib/cordon, and the C++ interface:
# one static archive, its headers and a package for find_package(cordon).
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

install(TARGETS cordon RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS cordon-template cordon-compile cordon-fetch cordon-gateway cordon-unpack RUNTIME DESTINATION lib/cordon)
install(FILES ${CMAKE_BINARY_DIR}/userland.img DESTINATION lib/cordon)
# `cmake --install build --component sources`: the exact sources of that image, which its programs' licences want beside it.
install(CODE "execute_process(COMMAND ${CMAKE_SOURCE_DIR}/guest/pack_sources.py
  \$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/share/cordon/userland-sources.tar COMMAND_ERROR_IS_FATAL ANY)" COMPONENT sources EXCLUDE_FROM_ALL)

# What stands behind the interface, in one archive: whoever links it needs nothing else of ours.
add_library(cordon_client STATIC $<TARGET_OBJECTS:client> $<TARGET_OBJECTS:rpc_message> $<TARGET_OBJECTS:base>)
set_target_properties(cordon_client PROPERTIES LINKER_LANGUAGE CXX OUTPUT_NAME cordon-client)
target_compile_features(cordon_client PUBLIC cxx_std_23)
target_include_directories(cordon_client INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
install(TARGETS cordon_client EXPORT cordon_targets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY ${CMAKE_SOURCE_DIR}/include/cordon DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
# The headers include it by this name, which is looked for beside them.
install(FILES ${CMAKE_SOURCE_DIR}/src/base/error.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/cordon/base)
install(EXPORT cordon_targets FILE cordonConfig.cmake NAMESPACE cordon:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/cordon)
set_target_properties(cordon_client PROPERTIES EXPORT_NAME client)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/cordonConfigVersion.cmake VERSION 0.1 COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/cordonConfigVersion.cmake DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/cordon)
