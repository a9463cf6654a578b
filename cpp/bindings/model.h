// _native.Model
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "etseg/model.h"

namespace etseg::bindings {

// A loaded program's instances, until a Segmenter takes them over.
struct LoadedModel {
  std::vector<std::unique_ptr<Model>> instances;
  ModelInfo info;

  // Raises what load_models() reports.
  static std::unique_ptr<LoadedModel> load(const std::string& path, int count);

  LoadedModel(std::vector<std::unique_ptr<Model>> loaded, ModelInfo about);
  ~LoadedModel();
  LoadedModel(const LoadedModel&) = delete;
  LoadedModel& operator=(const LoadedModel&) = delete;
};

}  // namespace etseg::bindings
