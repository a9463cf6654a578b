// A payload is a header and a flatbuffer, of executorch's
// backends/xnnpack/serialization/schema.fbs: the numbers of fields and kinds are those of their
// place there. What has no name, in programs of old, lies in the payload itself.
#include "xnnpack_graph.h"

#include <cstdint>
#include <cstring>
#include <set>
#include <string_view>
#include <utility>

namespace etseg {
namespace {

// What lies outside reads as zero.
class Bytes {
 public:
  Bytes(const void* data, std::size_t size) : data_(static_cast<const char*>(data)), size_(size) {}

  template <typename Number>
  Number at(std::uint64_t offset) const {
    Number number = 0;
    if (offset <= size_ && sizeof number <= size_ - offset) {
      std::memcpy(&number, data_ + offset, sizeof number);
    }
    return number;
  }

  std::string_view text(std::uint64_t offset, std::uint64_t length) const {
    if (offset > size_ || length > size_ - offset) return {};
    return {data_ + offset, static_cast<std::size_t>(length)};
  }

  // What an offset at this place points to.
  std::uint64_t follow(std::uint64_t place) const { return place + at<std::uint32_t>(place); }
  std::size_t size() const { return size_; }

 private:
  const char* data_;
  std::size_t size_;
};

class Table {
 public:
  Table(const Bytes& bytes, std::uint64_t place)
      : bytes_(bytes),
        place_(place),
        fields_(place - static_cast<std::uint64_t>(std::int64_t{bytes.at<std::int32_t>(place)})) {}

  template <typename Number>
  Number number(unsigned field) const {
    const std::uint64_t place = place_of(field);
    return place == 0 ? 0 : bytes_.at<Number>(place);
  }

  Table table(unsigned field) const { return {bytes_, bytes_.follow(place_of(field))}; }

  std::vector<Table> tables(unsigned field) const {
    std::vector<Table> found;
    const std::uint64_t start = place_of(field) == 0 ? 0 : bytes_.follow(place_of(field));
    const std::uint32_t count = start == 0 ? 0 : bytes_.at<std::uint32_t>(start);
    for (std::uint64_t i = 1; i <= count && start + 4 * i < bytes_.size(); ++i) {
      found.emplace_back(bytes_, bytes_.follow(start + 4 * i));
    }
    return found;
  }

  std::string_view text(unsigned field) const {
    const std::uint64_t place = place_of(field);
    if (place == 0) return {};
    const std::uint64_t start = bytes_.follow(place);
    return bytes_.text(start + 4, bytes_.at<std::uint32_t>(start));
  }

 private:
  // 0 for a field that is not there.
  std::uint64_t place_of(unsigned field) const {
    if (field + 2 >= bytes_.at<std::uint16_t>(fields_) / 2u) return 0;
    const auto offset = bytes_.at<std::uint16_t>(fields_ + 4 + 2 * std::uint64_t{field});
    return offset == 0 ? 0 : place_ + offset;
  }

  Bytes bytes_;
  std::uint64_t place_, fields_;
};

// What operators are, as far as it matters here.
enum Kind : std::uint8_t {
  kAdd = 1,
  kFullyConnected = 2,
  kStaticTranspose = 5,
  kConv2d = 7,
  kDivide = 8,
  kResizeBilinear2d = 9,
  kConstantPad = 10,
  kAvgPooling2d = 11,
  kMinimum = 12,
  kDepthwiseConv2d = 13,
  kMaxPooling2d = 14,
  kMultiply = 15,
  kSubtract = 16,
  kStaticReshape = 20,
  kArgMaxPooling2d = 21,
  kLeakyRelu = 25,
  kMaximum = 26,
  kElu = 29,
  kPrelu = 31,
  kConcatenate2 = 32,
  kConcatenate3 = 33,
  kConcatenate4 = 34,
  kStaticSlice = 35,
  kAttention = 36,
  kBatchMatrixMultiply = 37,
  kConcatenate5 = 38,
  kConvTranspose2d = 39,
  kLast = 47,
};

// The fields of an operator that name values which it packs, and those which it reads; a bit each.
struct Fields {
  std::uint32_t packed, read;
};

Fields fields_of(std::uint8_t kind) {
  const auto read = [](std::uint32_t fields) { return Fields{0, fields}; };
  switch (kind) {
    case kFullyConnected:
      return {0b110, 0b1};
    case kConv2d:
    case kDepthwiseConv2d:
    case kConvTranspose2d:
      return {0b110u << 15, 1u << 15};
    case kAdd:
    case kBatchMatrixMultiply:
    case kDivide:
    case kMaximum:
    case kMinimum:
    case kMultiply:
    case kPrelu:
    case kSubtract:
      return read(0b11);
    case kElu:
    case kLeakyRelu:
      return read(1u << 1);
    case kResizeBilinear2d:
    case kStaticReshape:
    case kStaticTranspose:
      return read(1u << 2);
    case kConstantPad:
    case kStaticSlice:
      return read(1u << 3);
    case kArgMaxPooling2d:
      return read(1u << 6);
    case kAvgPooling2d:
    case kMaxPooling2d:
      return read(1u << 10);
    case kConcatenate2:
    case kConcatenate3:
    case kConcatenate4:
    case kConcatenate5:
      return read(0b10011110);
    case kAttention:
      return read(0b11111);
    default:  // one input; of what is unknown, whatever may be one
      return read(kind <= kLast ? 0b1 : ~0u);
  }
}

void collect(const Table& graph, PackedAndRead& found) {
  std::set<std::uint32_t> packed, read;  // values
  for (const Table& node : graph.tables(1)) {
    const Table numbers = node.table(1);
    const Fields fields = fields_of(node.number<std::uint8_t>(0));
    for (unsigned i = 0; i < 32; ++i) {
      if (fields.packed >> i & 1) packed.insert(numbers.number<std::uint32_t>(i));
      if (fields.read >> i & 1) read.insert(numbers.number<std::uint32_t>(i));
    }
  }

  const std::vector<Table> constants = graph.tables(8);
  for (const Table& value : graph.tables(2)) {
    constexpr unsigned kQuantized = 2;
    Table tensor = value.table(1);
    if (value.number<std::uint8_t>(0) == kQuantized) tensor = tensor.table(0);
    const auto constant = tensor.number<std::uint32_t>(3);
    const auto id = tensor.number<std::uint32_t>(6);
    if (constant == 0 || constant >= constants.size() || !packed.count(id) || !read.count(id)) {
      continue;
    }
    const std::string_view name = constants[constant].text(2);
    if (name.empty()) {
      found.nameless = true;
    } else {
      found.names.emplace_back(name);
    }
  }
}

}  // namespace

PackedAndRead constants_packed_and_read(const void* bytes, std::size_t size) {
  constexpr std::string_view kMagic = "XH00";
  constexpr std::size_t kBefore = 4;  // bytes of the header
  const std::string_view all(static_cast<const char*>(bytes), size);
  PackedAndRead found;
  std::size_t magic = all.find(kMagic, kBefore);
  while (magic != all.npos) {
    const Bytes payload(all.data() + magic - kBefore, size - magic + kBefore);
    const std::uint64_t graph = payload.at<std::uint32_t>(10);
    if (payload.text(graph + 4, 2) == "XN") {
      collect(Table(payload, payload.follow(graph)), found);
    }
    magic = all.find(kMagic, magic + kMagic.size() + payload.at<std::uint32_t>(14));
  }
  return found;
}

}  // namespace etseg
