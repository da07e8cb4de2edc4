#ifndef CORDON_KERNEL_PAGE_SET_H_
#define CORDON_KERNEL_PAGE_SET_H_

#include <algorithm>
#include <bit>
#include <cstdint>

namespace cordon::kernel {

// A set of numbers below kSize, in words of 64; empty as zero bytes. Ranges must lie below kSize.
template <uint32_t kSize>
class PageSet {
 public:
  [[nodiscard]] bool Has(uint32_t page) const {
    return (words_[page / 64] >> (page % 64) & 1) != 0;
  }
  [[nodiscard]] uint32_t Count(uint32_t first, uint32_t count) const {
    uint32_t found = 0;
    ForWords(first, count, [&](uint32_t word, uint64_t mask) {
      found += static_cast<uint32_t>(std::popcount(words_[word] & mask));
    });
    return found;
  }
  void Add(uint32_t first, uint32_t count) {
    ForWords(first, count, [&](uint32_t word, uint64_t mask) { words_[word] |= mask; });
  }
  void Remove(uint32_t first, uint32_t count) {
    ForWords(first, count, [&](uint32_t word, uint64_t mask) { words_[word] &= ~mask; });
  }
  // The first number from `from` on that is in the set, or is not; `end` if there is none below it.
  [[nodiscard]] uint32_t NextMember(uint32_t from, uint32_t end) const {
    return Next(from, end, 0);
  }
  [[nodiscard]] uint32_t NextAbsent(uint32_t from, uint32_t end) const {
    return Next(from, end, ~uint64_t{0});
  }

 private:
  // Calls use(word, mask) for each word that the range touches.
  template <typename Use>
  static void ForWords(uint32_t first, uint32_t count, Use use) {
    const uint32_t end = first + count;
    while (first < end) {
      const uint32_t word_end = std::min(end, (first / 64 + 1) * 64);
      const uint64_t mask = ~uint64_t{0} >> (64 - (word_end - first)) << (first % 64);
      use(first / 64, mask);
      first = word_end;
    }
  }
  // Bits that differ from `flip` are looked for.
  [[nodiscard]] uint32_t Next(uint32_t from, uint32_t end, uint64_t flip) const {
    while (from < end) {
      const uint64_t rest = (words_[from / 64] ^ flip) >> (from % 64);
      if (rest != 0) return std::min(end, from + static_cast<uint32_t>(std::countr_zero(rest)));
      from = (from / 64 + 1) * 64;
    }
    return end;
  }

  uint64_t words_[(kSize + 63) / 64];
};

}  // namespace cordon::kernel

#endif  // CORDON_KERNEL_PAGE_SET_H_
