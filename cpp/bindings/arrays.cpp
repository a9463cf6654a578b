#include "arrays.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "errors.h"
#include "etseg/map_pool.h"

namespace etseg::bindings {

namespace py = pybind11;

namespace {

[[noreturn]] void throw_no_memory(py::ssize_t height, py::ssize_t width) {
  throw_as_python({Code::kOutOfMemory, "no memory for maps of " + std::to_string(height) + "x" +
                                           std::to_string(width) +
                                           " pixels; resize=False gives maps of the model's size"});
}

// Memory of a pool, for as long as an array refers to it.
class Loan {
 public:
  Loan(std::shared_ptr<MapPool> pool, std::size_t bytes)
      : pool_(std::move(pool)), bytes_(bytes), memory_(pool_->take(bytes)) {}
  ~Loan() { pool_->give_back(memory_, bytes_); }
  Loan(const Loan&) = delete;
  Loan& operator=(const Loan&) = delete;

  void* memory() const { return memory_; }

 private:
  const std::shared_ptr<MapPool> pool_;
  const std::size_t bytes_;
  void* const memory_;
};

py::array empty_map(const std::shared_ptr<MapPool>& pool, const py::dtype& dtype,
                    py::ssize_t height, py::ssize_t width) {
  const auto bytes = static_cast<std::size_t>(height * width * dtype.itemsize());
  if (bytes < MapPool::kLeast) return {dtype, {height, width}};
  auto loan = std::make_unique<Loan>(pool, bytes);
  if (loan->memory() == nullptr) throw_no_memory(height, width);
  const py::capsule owner(loan.get(), [](void* held) { delete static_cast<Loan*>(held); });
  const Loan& lent = *loan.release();
  const py::array whole(dtype, {height, width}, {}, lent.memory(), owner);
  // An array between: of a capsule alone numpy would not let the caller freeze and unfreeze it.
  return {dtype, {height, width}, {}, lent.memory(), whole};
}

}  // namespace

std::string shape_text(const py::array& array) {
  return py::str(array.attr("shape")).cast<std::string>() + " " +
         py::str(array.dtype()).cast<std::string>();
}

ImageView image_view(const py::array& image, bool bgr) {
  const bool grey = image.ndim() == 2;
  if (!image.dtype().equal(py::dtype::of<std::uint8_t>()) ||
      !(grey || (image.ndim() == 3 && (image.shape(2) == 3 || image.shape(2) == 4))) ||
      image.shape(0) < 1 || image.shape(1) < 1) {
    throw_bad_input("the image is an array " + shape_text(image) +
                    "; expected uint8 of shape (H, W, 3), (H, W, 4) or (H, W), not empty");
  }
  ImageView view;
  view.data = static_cast<const std::uint8_t*>(image.data());
  view.height = image.shape(0);
  view.width = image.shape(1);
  view.row_stride = image.strides(0);
  view.pixel_stride = image.strides(1);
  const py::ssize_t channel = grey ? 0 : image.strides(2);
  view.channel_offset = {0, channel, 2 * channel};
  if (bgr) std::swap(view.channel_offset[0], view.channel_offset[2]);
  return view;
}

// The memory of a result array that is to be written whole.
void* map_memory(py::array& map, py::ssize_t height, py::ssize_t width, const char* name) {
  constexpr int kUsable = py::array::c_style;
  if (map.ndim() != 2 || map.shape(0) != height || map.shape(1) != width ||
      (map.flags() & kUsable) == 0 || !map.writeable()) {
    throw_bad_input(std::string(name) + " is an array " + shape_text(map) +
                    "; expected a writeable, C-contiguous one of shape (" + std::to_string(height) +
                    ", " + std::to_string(width) + ")");
  }
  return map.mutable_data();
}

py::list empty_maps(Segmenter& segmenter, py::ssize_t height, py::ssize_t width,
                    const py::dtype& argmax, int probabilities) {
  const py::dtype probability = py::dtype::of<float>();
  const auto bytes_of_a_pixel =
      static_cast<std::size_t>(argmax.itemsize() + probabilities * probability.itemsize());
  std::size_t bytes = 0;
  if (__builtin_mul_overflow(static_cast<std::size_t>(height), static_cast<std::size_t>(width),
                             &bytes) ||
      __builtin_mul_overflow(bytes, bytes_of_a_pixel, &bytes) || bytes > PTRDIFF_MAX) {
    throw_no_memory(height, width);
  }
  const std::shared_ptr<MapPool> pool = segmenter.maps(bytes);
  py::list maps;
  maps.append(empty_map(pool, argmax, height, width));
  for (int i = 0; i < probabilities; ++i) {
    maps.append(empty_map(pool, probability, height, width));
  }
  return maps;
}

}  // namespace etseg::bindings
