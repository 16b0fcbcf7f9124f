# An overlay port: vcpkg install ferrimalloc --overlay-ports=packaging/vcpkg builds the checkout that this file is in. Cargo must be on the PATH.
get_filename_component(SOURCE_PATH "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
find_program(CARGO cargo HINTS "$ENV{HOME}/.cargo/bin" REQUIRED)

vcpkg_execute_required_process(
    COMMAND "${CMAKE_COMMAND}" -E env "CARGO_TARGET_DIR=${CURRENT_BUILDTREES_DIR}/target"
            "${CARGO}" run --quiet --release --package xtask -- install --prefix "${CURRENT_PACKAGES_DIR}"
    WORKING_DIRECTORY "${SOURCE_PATH}"
    LOGNAME "build-${TARGET_TRIPLET}")

# One build serves both configurations, and a triplet wants one kind of library.
if(VCPKG_LIBRARY_LINKAGE STREQUAL "dynamic")
    file(GLOB other "${CURRENT_PACKAGES_DIR}/lib/*.a")
else()
    file(GLOB other "${CURRENT_PACKAGES_DIR}/lib/*.so*")
endif()
if(other)
    file(REMOVE ${other})
endif()
set(VCPKG_BUILD_TYPE release)
vcpkg_install_copyright(FILE_LIST "${SOURCE_PATH}/LICENSE")
