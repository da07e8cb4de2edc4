#include <algorithm>
#include <cstring>

#include "wasm/instance.h"

namespace cordon::wasm {
namespace {

uint32_t HashType(std::span<const ValType> params, std::span<const ValType> results) {
  uint32_t hash = 2166136261u;  // FNV-1a; equality is decided by comparison
  const auto mix = [&hash](uint32_t value) { hash = (hash ^ value) * 16777619u; };
  for (const ValType t : params) mix(static_cast<uint32_t>(t));
  mix(0xff);
  for (const ValType t : results) mix(static_cast<uint32_t>(t));
  return hash;
}

}  // namespace

uint32_t TypeRegistry::Intern(std::span<const ValType> params, std::span<const ValType> results) {
  const uint32_t hash = HashType(params, results);
  uint32_t bucket = hash % kBuckets;
  for (; buckets[bucket] != 0; bucket = (bucket + 1) % kBuckets) {
    const uint32_t id = buckets[bucket] - 1u;
    if (entries[id].hash == hash && std::ranges::equal(Params(id), params) &&
        std::ranges::equal(Results(id), results)) {
      return id;
    }
  }
  const size_t size = params.size() + results.size();
  if (type_count == kMaxTypes || size > kMaxBytes - byte_count) return kFull;
  const uint32_t id = type_count++;
  entries[id] = {hash, byte_count, static_cast<uint32_t>(params.size()),
                 static_cast<uint32_t>(results.size())};
  for (const ValType t : params) bytes[byte_count++] = static_cast<uint8_t>(t);
  for (const ValType t : results) bytes[byte_count++] = static_cast<uint8_t>(t);
  buckets[bucket] = static_cast<uint16_t>(id + 1);
  return id;
}

std::span<const ValType> TypeRegistry::Params(uint32_t id) const {
  const Entry& entry = entries[id];
  return {reinterpret_cast<const ValType*>(bytes + entry.first), entry.param_count};
}

std::span<const ValType> TypeRegistry::Results(uint32_t id) const {
  const Entry& entry = entries[id];
  return {reinterpret_cast<const ValType*>(bytes + entry.first) + entry.param_count,
          entry.result_count};
}

void TypeRegistry::Clear() {
  // Only what is used: most processes have a hundred types.
  for (uint32_t id = 0; id < type_count; ++id) {
    uint32_t bucket = entries[id].hash % kBuckets;
    while (buckets[bucket] != 0) {
      buckets[bucket] = 0;
      bucket = (bucket + 1) % kBuckets;
    }
  }
  type_count = 0;
  byte_count = 0;
}

}  // namespace cordon::wasm
