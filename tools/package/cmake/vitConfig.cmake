# find_package(vit): the target vit::vit, by which vit.h is found and what it needs is linked.
include(CMakeFindDependencyMacro)
find_dependency(Threads)

if(NOT TARGET vit::vit)
  # from share/cmake/vit, where this file is
  get_filename_component(vit_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
  add_library(vit::vit INTERFACE IMPORTED)
  set_target_properties(vit::vit PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${vit_prefix}/include")
  set_property(TARGET vit::vit PROPERTY INTERFACE_LINK_LIBRARIES Threads::Threads)
  if(UNIX)
    set_property(TARGET vit::vit APPEND PROPERTY INTERFACE_LINK_LIBRARIES m)
  endif()
  unset(vit_prefix)
endif()
