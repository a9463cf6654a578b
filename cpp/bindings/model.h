// _native.Model
#pragma once

#include <pybind11/pybind11.h>

#include <memory>
#include <string>
#include <vector>

#include "etseg/model.h"

namespace etseg::bindings {

// A loaded program's instances, until a Segmenter takes them over.
struct LoadedModel {
  std::vector<std::unique_ptr<Model>> instances;
  ModelInfo info;
  const bool shares_weights;

  // Raises what load_models() reports.
  static std::unique_ptr<LoadedModel> load(const std::string& path, int count, int packed_weights);

  LoadedModel(std::vector<std::unique_ptr<Model>> loaded, ModelInfo about);
  ~LoadedModel();
  LoadedModel(const LoadedModel&) = delete;
  LoadedModel& operator=(const LoadedModel&) = delete;
};

// device, inode, size, and the times it was written and changed in nanoseconds
pybind11::tuple identity(const FileIdentity& file);

}  // namespace etseg::bindings
